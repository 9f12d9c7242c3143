r"""What `cues` looks for in other languages than English.

Each is a piece of a verbose pattern that begins with its own `|`. Words are those by which people ask and benchmarks instruct; a language is
added by adding its words to each.
"""

from __future__ import annotations

LETTER = r"""
      | \bbuchstaben?\ (?:der|des)\ (?:richtigen|korrekten) | \bantworte\w{0,2}\b[^.\n]{0,40}\bbuchstaben?\b
      | \b(?:réponds|répondez|donne|donnez|indique)\b[^.\n]{0,40}\blettre\b | \blettre\ (?:de\ la|correspond)
      | \b(?:responde|responda|contesta|da|rispondi|indica)\b[^.\n]{0,40}\b(?:letra|lettera)\b | \bletra\ (?:de\ la|correcta|correspond)
      | только\ букв|одной\ буквой|букву\ (?:правильного\ )?ответа
      | 选项字母|只(?:需)?(?:回答|输出|给出)(?:选项|字母) | 選択肢の(?:記号|文字)|記号で(?:答え|回答) | حرف\ الإجابة | 기호로"""

CHOOSING = r"""
      | \b(?:welche\w?|wähle|quel\w{0,3}|choisis\w{0,3}|cu[aá]l\w{0,2}|elige|qual\w?|scegli|escolha|какой|какая|выберите)\b | 哪|选择|選び|どれ"""

_SAID = r"""["'`“«„「]?"""
_SAID_END = r"""["'`”»“」]?"""
BOOLEAN = rf"""
      | \bja{_SAID_END}\s?(?:/|oder)\s?{_SAID}nein\b | \b(?:wahr|richtig){_SAID_END}\s?(?:/|oder)\s?{_SAID}falsch\b
      | \boui{_SAID_END}\s?(?:/|ou)\s?{_SAID}non\b | \bvrai{_SAID_END}\s?(?:/|ou)\s?{_SAID}faux\b
      | \bs[ií]{_SAID_END}\s?(?:/|o)\s?{_SAID}no\b | \bverdadero{_SAID_END}\s?(?:/|o)\s?{_SAID}falso\b
      | \bsì{_SAID_END}\s?(?:/|o)\s?{_SAID}no\b | \bvero{_SAID_END}\s?(?:/|o)\s?{_SAID}falso\b
      | \bsim{_SAID_END}\s?(?:/|ou)\s?{_SAID}não\b | \bverdadeiro{_SAID_END}\s?(?:/|ou)\s?{_SAID}falso\b
      | \bда{_SAID_END}\s?(?:/|или)\s?{_SAID}нет\b | \b(?:правда|верно){_SAID_END}\s?(?:/|или)\s?{_SAID}(?:ложь|неверно)\b
      | (?:回答|答|用|判断)[^。\n]{{0,6}}{_SAID}(?:是|对|正确){_SAID_END}(?:或|还是|/){_SAID}(?:否|不是|错|错误){_SAID_END}
      | 是否 | はいかいいえ|「?はい」?[かまたは/]{{1,3}}「?いいえ | 예\s?(?:또는|/)\s?아니 | نعم\s?(?:أو|/)\s?لا"""

JSON = r"""
      | \b(?:als|au\ format|en|em|in|no\ formato|en\ formato|in\ formato|un|uniquement\ (?:du|le))\ (?:gültiges\ |objeto\ |objet\ )?json\b
      | \b(?:im|ein)\ json[- ](?:format|objekt|dokument) | (?:以|用|按)\s?json | json\s?格式|json\s?形式[でに] | \b(?:верни|выведи|ответь
          |в\ формате)\b[^.\n]{0,40}\bjson\b"""

ONLY_NUMBER = r"""
      | \bnur\ (?:die|mit\ (?:der|einer))\ (?:zahl|ziffer)|\bals\ zahl\b
      | \b(?:seulement|uniquement)\ (?:avec\ )?(?:le|un)\ (?:nombre|chiffre)\b|\ble\ nombre\ seul
      | \b(?:s[oó]lo|solamente|únicamente|apenas|solo)\ (?:el|con\ (?:el|un)|un|o|com\ o|con\ il|il)\ n[uú]mero\b
      | только\ (?:число|цифр)|одним\ числом | 只(?:需)?(?:回答|输出|给出)(?:数字|一个数)|数字のみ|数字だけ|数値のみ|숫자만 | رقم\ فقط|الرقم\ فقط"""

NUMBER = r"""
      | \bwie\ ?viele?\b|\bwie\ (?:alt|hoch|weit|lang|groß|teuer)\ (?:ist|sind|war|wird)\b|\bberechne\w?\b|\bwas\ (?:ist|ergibt|sind)\ -?\d
      | \bin\ welchem\ jahr\b|\ben\ quelle\ année\b|\ben\ qu[eé]\ año\b|\bin\ (?:che|quale)\ anno\b|\bem\ que\ ano\b|\bв\ каком\ году\b|哪一?年
      | \bcombien\b|\bcalcule[rz]?\b|\bquel(?:le)?\ est\ (?:le\ résultat|la\ somme|le\ produit|la\ moyenne|l['’]aire|la\ vitesse|le\ prix
          |le\ nombre)\b
      | \bcu[aá]nt[oa]s?\b|\bcalcula\b|\bcu[aá]l\ es\ (?:el|la|su)\ (?:resultado|suma|producto|media|área|velocidad|precio|número)\b
      | \bquant[aeio]s?\b(?=\s\w)|\bcalcol[ai]\b
      | сколько|вычисли|чему\ рав[не]|найд(?:ите|и)\ (?:значение|сумму|число|площадь)|каков[аоы]?\ (?:его\ |её\ |их\ )?(?:скорость|площадь
          |сумма|вероятность|цена|длина)
      | 多少|几(?:\w{1,2}[?？]|个|只|岁|天|次|本|人|元|分|小时|米|种|张)|计算|等于几
      | いくつ|いくら|何(?:個|人|本|匹|歳|円|枚|日|時間|回|年|分|キロ|メートル|グラム|km|m|kg|g|%)|計算し | 몇|얼마 | (?:^|\s)كم\ |احسب"""

ONLY_TEXT = r"""
      | \bmit\ einem\ (?:einzigen\ )?wort\b|\bin\ einem\ wort\b|\bnur\ (?:den|der|mit\ dem)\ namen?\b
      | \ben\ un\ (?:seul\ )?mot\b|\buniquement\ le\ nom\b | \ben\ una\ (?:sola\ )?palabra\b|\bs[oó]lo\ el\ nombre\b
      | \bin\ una\ (?:sola\ )?parola\b|\bem\ uma\ (?:só\ )?palavra\b | одним\ словом|только\ (?:имя|название)
      | 一个词|只(?:需)?(?:回答|输出|给出)(?:名字|名称|答案) | 一言で|単語(?:だけ|のみ)|名前(?:だけ|のみ)"""

FACT_OPENING = r"""
      | (?:was|wie)\ (?:ist|heißt|lautet)\ (?:die|der|das)\ (?:hauptstadt|währung|name|farbe|symbol)|wer\ (?:hat|war|ist|schrieb|erfand|malte)\b
      | (?:in\ |an\ |auf\ )?welche[mnrs]?\ (?!der\b|von\b|sind\b)\w{3,20}\b | wo\ (?:wurde|liegt|lag|befindet|starb)\b | wann\ (?:wurde|war
          |starb|begann|endete)\b
      | quelle?\ est\ l[ae]\ (?:capitale|monnaie|plus\ \w{4,12}|nom|langue)|qui\ (?:a|est|était)\b|(?:dans|en)\ quel(?:le)?\ (?:pays|ville)\b
      | où\ (?:se\ trouve|est|sont|était|a\ été)\b | ¿?d[oó]nde\ (?:nació|está|queda|murió|se\ encuentra)\b
      | ¿?cu[aá]l\ es\ (?:el|la)\ (?:capital|moneda|nombre|idioma|\w{3,15}\ más)|¿?qui[eé]n\ (?:es|fue|escribi[oó]|pint[oó]|invent[oó])\b
          |¿?en\ qu[eé]\ (?:país|ciudad)\b
      | qual\ (?:è|é)\ (?:la|il|a|o)\ (?:capitale|capital|moneta|moeda|nome|\w{3,15}\ (?:più|mais))|chi\ (?:è|era|ha)\b|dove\ (?:è|si\ trova)\b
      | quem\ (?:é|foi|escreveu|pintou|inventou)\b|onde\ (?:nasceu|fica)\b
      | как(?:ая|ой)\ (?:столица|сам(?:ая|ый)|язык|валюта)|столица\ |кто\ (?:написал|изобрёл|изобрел|был|такой|открыл|является)\b
      | где\ (?:родил|находит|располож)\w{2,6}\b|в\ как(?:ом|ой)\ (?:городе|стране)\b | من\ (?:هو|هي|كتب|اخترع)\b|أين\ """

FACT = r"""
      | 的首都(?:是|在|叫)|是谁|谁(?:写|发明|发现)|^[^\n]{0,40}最[^\n]{1,20}(?:是什么|是哪|叫什么)|哪(?:个|座|条|位)\w{1,12}[?？]$
      | の首都(?:は|を)|誰(?:です|が|でしょう)|どこですか|(?:何県|どの国|何という)|一番[^\n]{1,20}(?:何|どこ)ですか | ما\ (?:هي\ )?عاصمة"""

YES_NO_OPENING = r"""
        |ist|sind|war|hat|kann|gibt|stimmt|est-ce\ que|est-ce\ qu['’]|является\ ли|(?:правда|верно)\ ли,?(?:\ что)?|¿es(?:\ verdad\ que)?
          |¿son|¿está|è\ vero\ che|é\ verdade\ que|هل"""

YES_NO = r"""
      | ^(?!\W{0,3}(?:où|qui|que|quel\w{0,3}|combien|pourquoi|comment|quand)\b)[^?\n]{2,160}\b(?:est|sont|a-t|ont|peut|fait)-(?:il|elle|ils
          |elles|on)\b[^?\n]{0,160}[?]\s{0,3}$
      | ^(?![你您请]|可以|能不能)[^\n]{1,300}(?:吗|嗎)[?？]\s{0,3}$
      | ^(?!.{0,300}(?:どこ|誰|だれ|何|なに|いつ|なぜ|どう|どれ|どの|どちら|いくつ|いくら|くれますか|もらえますか|いいですか
          |あなた)).{2,300}(?:ですか|ますか)[?？。]?\s{0,3}$"""

PERSONAL = r"""
        |du|ihr|ich|wir|sie\ mir|es\ (?:sinnvoll|möglich|okay|gut|besser)|tu|vous|je"""

CODE = r"""
      | \b(?:schreib\w{0,3}|implementier\w{0,2})\b[^.\n?]{0,80}(?:funktion|programm|skript|klasse|\bcode)\b
      | \b(?:écris|écrivez|écrire|implémente)\b[^.\n?]{0,80}\b(?:fonction|programme|script|classe|code)\b
      | \b(?:escribe|escriba|implementa|crea)\b[^.\n?]{0,80}\b(?:función|programa|script|clase|código)\b
      | \b(?:scrivi|escreva)\b[^.\n?]{0,80}\b(?:funzione|função|programma|programa|script|classe|codice|código)\b
      | \b(?:напиши\w{0,2}|реализуй\w{0,2})\b[^.\n?]{0,80}\b(?:функци\w{1,3}|код|скрипт|программ\w{1,2}|класс)\b
      | 写(?:一个|一段)?[^。\n]{0,12}(?:函数|程序|代码|脚本) | (?:関数|コード|プログラム|スクリプト)を(?:書|作|実装)"""
