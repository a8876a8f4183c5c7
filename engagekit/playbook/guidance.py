"""How a team works with the answers: reviews, order of operations, collaboration, cases, context.

Where our copy of the guide announces a list that is not there, the entries say what the rest of it implies and
carry ``ours=True``.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Item:
    """One line of a list; `ours` where the guide's own list is lost and this says what it implies."""

    text: str
    ours: bool = False


@dataclass(frozen=True)
class Review:
    """A check-in of the team: how often, the one question it answers, what to look at."""

    name: str
    every_days: int
    question: str
    purpose: str
    look_at: tuple[Item, ...]
    sanity_checks: tuple[Item, ...]
    ends_with: str


@dataclass(frozen=True)
class Operation:
    """One place in the order of operations: a link of the loop, what to ask of it, and when to move on."""

    position: int
    link: str
    first: str
    ask: str
    move_on_when: str
    ours: bool = True


@dataclass(frozen=True)
class Engagement:
    """One row of the table that keeps user and customer engagement apart; a cell may be empty."""

    user_engagement: str | None
    customer_engagement: str | None


@dataclass(frozen=True)
class CommonProblem:
    """A problem most teams meet: what it is called here, how it shows, what to do about it."""

    name: str
    shows: str
    answer: str
    answer_ours: bool = True


@dataclass(frozen=True)
class Consideration:
    """One row of build or buy; a verdict is ``good``, ``mixed`` or ``poor`` with its words."""

    consideration: str
    build: str
    build_verdict: str
    buy: str
    buy_verdict: str


@dataclass(frozen=True)
class Case:
    """A worked pattern: what was seen, what was wrong, what the team did, what to take from it."""

    company: str | None
    title: str
    problem: str
    play: str
    link: str
    core_action: str | None
    seen: str
    wrong: str
    did: tuple[Item, ...]
    result: str
    lesson: str
    would_show: str


@dataclass(frozen=True)
class HookQuestion:
    """One of Hooked's four parts as a question to ask of the core action."""

    part: str
    question: str
    in_the_log: str
    ours: bool = True


@dataclass(frozen=True)
class Benchmark:
    """A published average: context for a reader, never a target."""

    metric: str
    value: float
    unit: str
    use: str = "context, not a target"


# Weekly and monthly: the guide's two rhythms. What to look at is ours.
REVIEWS = (
    Review(
        name="weekly",
        every_days=7,
        question="Where are users stuck at the moment?",
        purpose="A quick look for friction; nobody's performance is on the table.",
        look_at=(
            Item("Activation rate of the newest sign-ups whose window is over", ours=True),
            Item("Drop-off per step, and whether one step stands out", ours=True),
            Item("Error and support rates per active user", ours=True),
            Item("The watch list: users much quieter than their own habit", ours=True),
            Item("Days without any event, which usually mean broken tracking", ours=True),
        ),
        sanity_checks=(
            Item("Is the change larger than its interval, or one week's noise?", ours=True),
        ),
        ends_with="One issue picked, with an owner; the rest waits.",
    ),
    Review(
        name="monthly",
        every_days=28,
        question="Do users return, go deeper and stay?",
        purpose="A step back: which way do the curves go, and does the play still fit the problem?",
        look_at=(
            Item("Cohort curves: do newer cohorts return more than older ones?", ours=True),
            Item("Return usage, and how much of it comes without outreach", ours=True),
            Item("Depth per active user and adoption of each advanced action", ours=True),
            Item(
                "The loop with its targets: is the earliest broken link still the same?", ours=True
            ),
            Item("Post-return retention, not the number of returns alone", ours=True),
        ),
        sanity_checks=(
            Item("Does the running play still answer the earliest broken link?", ours=True),
            Item("Did its metric move by more than the interval since the play began?", ours=True),
            Item(
                "Does the gain last without messages, or does it need the next reminder?", ours=True
            ),
            Item("Is the definition of success still one the whole team shares?", ours=True),
            Item(
                "Which metric changed no decision in the last three reviews? Look at it less often.",
                ours=True,
            ),
        ),
        ends_with="Keep, change or end the play, in one sentence that is written down.",
    ),
)

# Value first, then repetition, then depth, then advocacy.
ORDER_OF_OPERATIONS = (
    Operation(
        1,
        "activation",
        "value",
        "Do new users reach their first meaningful outcome, and where do they get stuck before it?",
        "the activation rate holds at its target and no single step loses most users",
    ),
    Operation(
        2,
        "habit",
        "repetition",
        "Do users who activated do the core action again on a later day, without being called back?",
        "return usage holds at its target and most returns are unprompted",
    ),
    Operation(
        3,
        "depth",
        "depth",
        "Do users who return take up an advanced action and keep it?",
        "the depth rule is met as often as the target asks",
    ),
    Operation(
        4,
        "advocacy",
        "advocacy",
        "Do users with a deep habit put their name behind the product?",
        "never a lever: it confirms that the three before it hold",
    ),
)

# The guide's table, cell by cell; its last row has one side only.
USER_VERSUS_CUSTOMER = (
    Engagement("How users learn as they go", "Onboarding calls"),
    Engagement("How they discover value on their own", "Training sessions"),
    Engagement("How they build habits", "QBRs"),
    Engagement("How the product guides them without a human in the loop", "Proactive check-ins"),
    Engagement(None, "One-to-one guidance"),
)

# The guide describes six; their headings are lost, so the names are ours.
COMMON_PROBLEMS = (
    CommonProblem(
        "Easy metrics",
        "What is simple to count fills the dashboard, and no decision follows from it.",
        "Tie every metric to a link and a play; drop those that name neither.",
    ),
    CommonProblem(
        "The product's path, not the user's",
        "The journey is drawn around what the product offers instead of what people came to do.",
        "Define activation and core action as outcomes in the user's words.",
    ),
    CommonProblem(
        "One experience for all",
        "Roles, goals and maturity are treated alike, and so the experience fits nobody well.",
        "Read every answer by plan, role or channel before acting on the total.",
    ),
    CommonProblem(
        "Engagement carried by messages",
        "Use holds only while mails, nudges or calls go out; without them it falls.",
        "Watch the unprompted share of returns and move the missing part into the product.",
    ),
    CommonProblem(
        "Just enough, then no further",
        "People master the basics, settle there, and never grow into advanced use.",
        "Show the next capability when the need for it appears in what they do.",
    ),
    CommonProblem(
        "Guesses in place of a shared view",
        "After a drop every team has its own explanation, because nobody shares the same journey.",
        "Agree on one definition file and read the same diagnosis before discussing remedies.",
    ),
)

ADVOCACY_FORMS = (
    Item("Inviting colleagues or friends", ours=True),
    Item("Reviews and referrals given freely", ours=True),
    Item("Sharing work made with the product", ours=True),
    Item("Speaking for it as a reference or in a community", ours=True),
)

# Ask these before opening a dashboard.
METRIC_QUESTIONS = (
    Item("Which outcome did people sign up for?", ours=True),
    Item("Which action, done again, shows that they keep getting it?", ours=True),
    Item("How often would someone with that need do it: daily, weekly, monthly?", ours=True),
    Item("Which actions show that they rely on more than the basics?", ours=True),
    Item("What would we do differently if this number fell?", ours=True),
)

AGREE_FIRST = (
    Item("Which behavior is breaking, in words that the event log can confirm", ours=True),
    Item("For whom: which users, who signed up when", ours=True),
    Item("At which link of the loop, and how sure the numbers are", ours=True),
    Item("Which single play comes first, and who leads it", ours=True),
    Item("Which metric will move, by how much, and by when that could be seen", ours=True),
    Item("What will not be done meanwhile", ours=True),
)

ASK_TOGETHER = (
    Item("What were users trying to do when momentum was lost?", ours=True),
    Item("Where is the earliest point at which most of them leave?", ours=True),
    Item("What did those who stayed do there that the others did not?", ours=True),
    Item("Do they come back by themselves, or because we wrote to them?", ours=True),
    Item("What does support hear about this very step?", ours=True),
    Item("Could the product itself say what our messages say?", ours=True),
    Item("Which of these problems, once mended, makes the others smaller?", ours=True),
)

FAILING_SIGNS = (
    Item("Each team brings its own diagnosis and its own numbers", ours=True),
    Item("Remedies are debated before the behavior is named", ours=True),
    Item("Several plays start at once, and no one can tell which of them worked", ours=True),
    Item("Work is handed over instead of shared, and gaps open in between", ours=True),
    Item("Messages go out to cover what the product leaves unsaid", ours=True),
    Item("Nobody can say who leads the running play", ours=True),
)

# How a team notices that it set its priorities well.
WORKING_SIGNS = (
    Item("The team works on one link, and can say which and why", ours=True),
    Item("The metric of that link moves, and later ones follow unasked", ours=True),
    Item("Fewer messages are needed for the same use", ours=True),
    Item("New ideas are weighed against the link, not against each other", ours=True),
)

BUILD_OR_BUY = (
    Consideration("Control over UI logic", "Full control", "good", "Constrained by platform", "mixed"),
    Consideration("Deep workflow integration", "Native by default", "good", "Depends on tooling", "mixed"),
    Consideration("Speed to first version", "Slower", "mixed", "Faster", "good"),
    Consideration("Iteration speed", "Dev-dependent", "poor", "Low code", "good"),
    Consideration("Experimentation", "Costly", "poor", "Designed for it", "good"),
    Consideration("Personalization at scale", "Complex", "mixed", "Built-in", "good"),
    Consideration("Measurement & analytics", "Custom work", "mixed", "Included", "good"),
    Consideration("Long-term maintenance", "High", "poor", "Vendor dependency", "mixed"),
    Consideration("Early-stage flexibility", "Strong", "good", "Can be overkill", "mixed"),
    Consideration("Mature product scalability", "Hard", "mixed", "Designed for scale", "good"),
)  # fmt: skip

CASES = (
    Case(
        company="SignalPET",
        title="Value once, but no continuity",
        problem="Repeat value",
        play="Repeat Value",
        link="habit",
        core_action=None,
        seen="Clinics and pet owners set up quickly and saw a first result; over the months after, use thinned out.",
        wrong="Nothing after the first result showed how the next visit would build on it.",
        did=(
            Item("Put what comes next right beside the first result", ours=True),
            Item("Showed how each new reading adds to the ones before", ours=True),
            Item("Left reminders out of it: the reason to return stood in the product", ours=True),
        ),
        result="People returned because each use visibly continued the last one.",
        lesson="When value is met once and not again, show how today's action leads to tomorrow's outcome.",
        would_show="Activation holds, habit is the earliest broken link, most judged users have vanished.",
    ),
    Case(
        company=None,  # lost in our copy of the guide
        title="Features shown too early",
        problem="Discovery",
        play="Feature Discovery",
        link="depth",
        core_action=None,
        seen="Users were at home in the basics and active; hardly any of them took up the advanced features.",
        wrong="Features were announced when they were released, not when a user had a use for them.",
        did=(
            Item("Tied each feature to the behavior that shows a need for it", ours=True),
            Item("Introduced it inside the task it shortens", ours=True),
            Item("Stopped announcing releases to everybody at once", ours=True),
        ),
        result="Features met users who had the context for them, and stayed in use.",
        lesson="Discovery follows progress: too early it is noise, at the right moment it is help.",
        would_show="Activation and habit hold, depth is the earliest broken link, many plateau after one-off tries.",
    ),
    Case(
        company="Xometry",
        title="Hesitation at the decision step",
        problem="Friction",
        play="Contextual Guidance",
        link="activation",
        core_action="placing an order",
        seen="Buyers signed up, explored and meant to order, then stopped short of the order itself.",
        wrong="The reassurance they needed existed, but not at the point of decision.",
        did=(
            Item("Found the decision points where intent was high and people stopped", ours=True),
            Item("Placed the missing information inside that step", ours=True),
            Item("Let it disappear as soon as the action was taken", ours=True),
        ),
        result="Fewer hesitated, because help stood where they were about to act anyway.",
        lesson="Where people want to act and do not, help within the workflow beats any reminder.",
        would_show="Activation is the earliest broken link, friction its largest part, and one step loses most users.",
    ),
)

# Nir Eyal's loop, asked of the core action.
HOOKED = (
    HookQuestion(
        "trigger",
        "What makes a user think of the product: an occasion of their own, or a message of ours?",
        "the unprompted share of returns",
    ),
    HookQuestion(
        "action",
        "What is the simplest thing they then do to get what they came for?",
        "step drop-off and time to value",
    ),
    HookQuestion(
        "reward",
        "Does the action give them the outcome, and do they notice it?",
        "return usage after activation",
    ),
    HookQuestion(
        "investment",
        "What do they leave behind that makes the next time better?",
        "depth: advanced actions on several days",
    ),
)

BENCHMARKS = (
    Benchmark("activation rate", 0.32, "share"),
    Benchmark("time to value", 38.0, "days"),
)
