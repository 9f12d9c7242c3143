"""Members' health as calls come and go: several at once, cancelled, overtaken, forgotten."""

from __future__ import annotations

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, MultipleResults, RuleBasedStateMachine, consumes, multiple, rule

from fusiond.errors import ContextTooSmall, Empty, Misshapen, Rejected, TimedOut, Truncated, Unreachable
from fusiond.health import CANCELLED, Condition, Entry, Health, Outcome
from fusiond.policy.breaker import LONGEST_WAIT, Refusal

NOW = 1000.0
KEY = ("ollama", "http://127.0.0.1:11434", "qwen3:8b", None)
BROKEN = Unreachable("no connection")


def entered(health: Health, now: float = NOW, key: object = KEY) -> Entry:
    """A call that is admitted."""
    entry = health.entered(key, now)
    assert isinstance(entry, Entry)
    return entry


def ended(health: Health, *outcomes: Outcome, now: float = NOW) -> None:
    """Calls one after the other."""
    for outcome in outcomes:
        health.left(entered(health, now), outcome, now)


def broken() -> Health:
    """A member that cools until five seconds from now."""
    health = Health()
    ended(health, BROKEN, BROKEN, BROKEN)
    return health


def test_a_member_that_nobody_knows_is_ready() -> None:
    """And asking for its state changes nothing."""
    health = Health()
    assert health.admits(KEY, NOW) is None
    assert health.state(KEY, NOW) == Condition("ready", None, None)


def test_a_model_that_is_listed_again_is_well() -> None:
    """What was not there and now is; nobody else is forgiven by that."""
    for error, forgiven in (
        (Rejected("no such model", upstream_status=404), True),
        (Rejected("is not a valid model id", upstream_status=400), True),
        (Rejected("no credit", upstream_status=402), False),
        (Rejected("your key is disabled", upstream_status=403), False),
        (Rejected("unknown key", upstream_status=401), False),
        (Rejected("too many", upstream_status=429), False),
    ):
        health = Health()
        health.listed(KEY)
        ended(health, error)
        assert health.admits(KEY, NOW) is not None
        health.listed(KEY)
        assert (health.admits(KEY, NOW) is None) is forgiven
    health = broken()
    health.listed(KEY)
    assert health.admits(KEY, NOW) is not None


def test_what_came_after_a_missing_model_is_not_forgiven_with_it() -> None:
    """It was there again, and then out of credit."""
    health = Health()
    ended(health, Rejected("no such model", upstream_status=404))
    ended(health, Rejected("no credit", upstream_status=402), now=NOW + 60)
    health.listed(KEY)
    assert health.admits(KEY, NOW + 60) is not None


def test_a_failing_member_is_not_entered() -> None:
    """While it cools it is refused, with the reason; others are not concerned."""
    health = broken()
    refusal = health.admits(KEY, NOW)
    assert refusal == Refusal(word="cooling", why="failed 3 times in a row: no connection", until=NOW + 5)
    assert health.entered(KEY, NOW + 4.9) == refusal
    assert health.state(KEY, NOW) == ("cooling", "failed 3 times in a row: no connection", NOW + 5)
    assert health.admits(("other",), NOW) is None


def test_one_call_tries_it_again() -> None:
    """The next is refused until that one has ended, and then takes its place."""
    health = broken()
    assert health.state(KEY, NOW + 5) == ("ready", "is to be tried again: failed 3 times in a row: no connection", None)
    trying = entered(health, NOW + 5)
    assert health.state(KEY, NOW + 5) == ("cooling", "is being tried again: failed 3 times in a row: no connection", None)
    assert isinstance(health.entered(KEY, NOW + 5), Refusal)
    health.left(trying, CANCELLED, NOW + 6)
    trying = entered(health, NOW + 6)
    assert isinstance(health.entered(KEY, NOW + 6), Refusal)
    health.left(trying, None, NOW + 7)
    assert health.state(KEY, NOW + 7) == Condition("ready", None, None)
    assert entered(health, NOW + 7) != entered(health, NOW + 7)


def test_calls_that_fail_together_double_nothing() -> None:
    """Twenty were under way when the provider died: it cools for five seconds all the same."""
    health = Health()
    for entry in [entered(health) for _ in range(20)]:
        health.left(entry, BROKEN, NOW)
    assert health.state(KEY, NOW).until == NOW + 5


def test_the_end_of_an_older_call_frees_no_place() -> None:
    """Whatever that end is, the one that tries the member goes on alone, and alone decides."""
    for outcome in (None, CANCELLED, BROKEN, Misshapen("x")):
        health = Health()
        older = entered(health)
        ended(health, BROKEN, BROKEN, BROKEN)
        trying = entered(health, NOW + 5)
        health.left(older, outcome, NOW + 6)
        assert isinstance(health.entered(KEY, NOW + 6), Refusal)
        health.left(trying, BROKEN, NOW + 7)
        assert health.state(KEY, NOW + 7).until == NOW + 17


def test_an_older_call_that_is_answered_does_not_end_a_limit() -> None:
    """Others under way may well be answered while the provider asks for a pause."""
    health = Health()
    older = entered(health)
    ended(health, Rejected("slow down", upstream_status=429, retry_after=30))
    health.left(older, None, NOW + 1)
    assert health.state(KEY, NOW + 1).until == NOW + 30


def test_cancelled_calls_do_not_count() -> None:
    """Neither for the member nor against it."""
    health = Health()
    ended(health, *[CANCELLED] * 20)
    assert health.admits(KEY, NOW) is None
    ended(health, BROKEN, CANCELLED, BROKEN, CANCELLED, BROKEN)
    assert health.state(KEY, NOW).word == "cooling"


def test_a_cold_load_is_no_failure() -> None:
    """As long as the caller says that the model was being loaded."""
    health = Health()
    late = TimedOut("no first token within 60 s")
    for _ in range(10):
        health.left(entered(health), late, NOW, loading=True)
    assert health.admits(KEY, NOW) is None
    ended(health, late, late, late)
    assert health.state(KEY, NOW).word == "cooling"


def test_a_refused_key_is_forgiven_when_it_is_forgotten() -> None:
    """Until then no time heals it."""
    health = Health()
    ended(health, Rejected("HTTP 401", upstream_status=401))
    assert health.state(KEY, NOW + 1e9) == ("unavailable", "does not take its key: HTTP 401", None)
    health.forget(KEY)
    assert health.state(KEY, NOW) == Condition("ready", None, None)


def test_a_call_that_ends_after_its_member_was_forgotten() -> None:
    """It leaves nothing behind, and takes nobody's place where the member is back and being tried."""
    health = broken()
    trying = entered(health, NOW + 5)
    health.forget(KEY)
    health.left(trying, BROKEN, NOW + 6)
    assert health._breakers == {}
    trying = entered(health, NOW + 6)
    health.forget(KEY)
    ended(health, BROKEN, BROKEN, BROKEN, now=NOW + 6)
    entered(health, NOW + 11)
    health.left(trying, CANCELLED, NOW + 12)
    assert isinstance(health.entered(KEY, NOW + 12), Refusal)


def test_an_older_try_of_a_forgotten_member_is_not_the_new_one() -> None:
    """Two lives of one identity: the call that tried the first one does not end the try of the second."""
    health = broken()
    first = entered(health, NOW + 5)
    health.forget(KEY)
    ended(health, BROKEN, BROKEN, BROKEN, now=NOW + 6)
    second = entered(health, NOW + 11)
    health.left(first, None, NOW + 12)
    assert isinstance(health.entered(KEY, NOW + 12), Refusal)
    health.left(second, None, NOW + 13)
    assert health.state(KEY, NOW + 13) == Condition("ready", None, None)


def test_retries_are_few() -> None:
    """Three at first; then one for every ten calls, not counting the retries themselves; a wait that is not granted costs nothing."""
    health = Health()

    def granted() -> bool:
        return health.retry_after(BROKEN, 1, NOW, NOW + 10, 0.5) == 0.1

    assert health.retry_after(Truncated("x"), 1, NOW, NOW + 10, 0.5) is None
    assert [granted() for _ in range(4)] == [True, True, True, False]
    for _ in range(9):
        health.left(entered(health), None, NOW)
    assert isinstance(health.entered(KEY, NOW, attempt=2), Entry)
    assert not granted()
    health.left(entered(health), None, NOW)
    assert [granted(), granted()] == [True, False]


FAILURES = [
    BROKEN,
    Empty("x"),
    Misshapen("x"),
    ContextTooSmall("x"),
    TimedOut("x"),
    *(Rejected("x", upstream_status=status, retry_after=wait) for status in (400, 401, 404, 429, 503) for wait in (None, 40.0, 1e9)),
]


class Lives(RuleBasedStateMachine):
    """Calls that begin, overlap and end in any order and way, on a clock that may stand still."""

    calls: Bundle[Entry] = Bundle("calls")

    def __init__(self) -> None:
        super().__init__()
        self.health = Health()
        self.now = NOW
        self.trying: Entry | None = None
        self.keys_refused = False
        self.known = False

    @rule(seconds=st.sampled_from([0.0, 1.0, 5.0, 60.0, 600.0]))
    def wait(self, seconds: float) -> None:
        """Time goes by, or not."""
        self.now += seconds

    @rule(target=calls)
    def begin(self) -> Entry | MultipleResults[Entry]:
        """Somebody wants to ask the member: it is refused exactly when that was announced, for a bounded time; one tries at once."""
        announced, shut = self.health.admits(KEY, self.now), self.health.state(KEY, self.now).reason
        entry = self.health.entered(KEY, self.now)
        if isinstance(entry, Refusal):
            assert entry == announced
            assert entry.until is not None or self.trying or self.keys_refused
            assert entry.until is None or self.now < entry.until <= self.now + LONGEST_WAIT
            return multiple()
        assert announced is None
        assert self.trying is None
        assert not self.keys_refused
        self.known = True
        if shut is not None:
            self.trying = entry
        return entry

    @rule(entry=consumes(calls), outcome=st.sampled_from([None, CANCELLED, *FAILURES]), loading=st.booleans())
    def end(self, entry: Entry, outcome: Outcome, loading: bool) -> None:
        """A call ends: an answer to the one that tries it opens it, and after a 401 only forgetting does."""
        self.health.left(entry, outcome, self.now, loading=loading)
        self.keys_refused |= self.known and isinstance(outcome, Rejected) and outcome.upstream_status == 401
        if entry is self.trying:
            self.trying = None
            if outcome is None and not self.keys_refused:
                assert self.health.state(KEY, self.now) == Condition("ready", None, None)

    @rule(pick=st.integers(min_value=0, max_value=3))
    def forget(self, pick: int) -> None:
        """Now and then the configuration changes."""
        if pick == 0:
            self.health.forget(KEY)
            self.trying, self.keys_refused, self.known = None, False, False


TestLives = Lives.TestCase
TestLives.settings = settings(max_examples=100, stateful_step_count=50, deadline=None)
