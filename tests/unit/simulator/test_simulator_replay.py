"""Whatever happens to its socket, a client that resumes sees every `s` once and in order."""

from hypothesis import given
from hypothesis import strategies as st

from discord_simulator import Fault
from discord_simulator.events import EventDraft
from discord_simulator.faults import disturb

STEPS = st.lists(
    st.sampled_from(["publish", "publish", "lose what is on the way", "lost", *Fault]) | st.floats(0.1, 60.0),
    max_size=40,
)


class ResumingBot:
    """Applies what it got when told to look; what it did not look at before a loss never arrived."""

    def __init__(self, here):
        self.here = here
        self.connection, self.outlet = here.connect()
        here.identify(self.connection)
        self.session = self.connection.session
        self.applied = []

    def look(self):
        self.applied += [payload["s"] for payload in self.outlet.sent if payload["s"] is not None]
        self.outlet.sent.clear()

    def reconnect(self):
        self.connection.lost(None, self.here.now)
        self.connection, self.outlet = self.here.connect()
        self.here.resume(self.connection, self.session.id, self.applied[-1])


@given(STEPS)
def test_no_sequence_number_is_missed_or_repeated_over_any_faults(world, steps):
    here = world(replay_size=1000)
    bot = ResumingBot(here)
    bot.look()
    for step in steps:
        if isinstance(step, float):
            here.now += step
            here.discord.tick(here.now)
        elif step == "publish":
            here.discord.publish(EventDraft("MESSAGE_CREATE", None, {"content": "hi"}))
        elif step == "lose what is on the way":
            bot.reconnect()
        else:
            bot.look()
            if step != "lost":
                disturb(here.discord, bot.session, step, code=4000, resumable=True, now=here.now)
            bot.reconnect()
    bot.look()

    assert bot.applied == list(range(1, bot.session.seq + 1))
