"""A worker of a pending shard set brings the bot's voice connections over, slowly, when it is told to."""

import asyncio
from dataclasses import dataclass

import msgspec
import pytest

from shardpod.handover import Orders
from shardpod.worker.messages import Neighbours
from shardpod.worker.rejoining import REJOIN_EVERY
from shardpod.worker.report import WorkerReport, counts_only, merged

pytestmark = pytest.mark.looptime

BOT = "198"  # as the rig's token says
OLD, OURS = "o" * 32, "a" * 32


def orders(*, epoch=2, handed=((0, 15),)):
    return Orders(epoch, 1, 8, 2, 16, handed)


PENDING = Neighbours(orders=orders())
REJOIN = Neighbours(orders=orders(), rejoin_voice=True)


@dataclass
class Guilds:
    """Says to the rig's session what Discord would."""

    line: object
    seq: int = 1

    def say(self, event_type, d):
        self.seq += 1
        self.line.say(0, d, s=self.seq, t=event_type)

    def created(self, guild, channel="7"):
        states = [{"user_id": BOT, "channel_id": channel, "session_id": OLD}] if channel else []
        self.say("GUILD_CREATE", {"id": guild, "voice_states": states})

    def state(self, guild, channel="7", *, session=OURS):
        self.say(
            "VOICE_STATE_UPDATE", {"guild_id": guild, "user_id": BOT, "channel_id": channel, "session_id": session}
        )


def asked(line):
    """When op 4 was sent, and for which guild."""
    return [(at, message["d"]["guild_id"]) for at, message in line.sent if message["op"] == 4]


async def pending(rig, *guilds, neighbours=PENDING):
    rig = await rig({"neighbours": neighbours}).connected(session_id=OURS, guilds=guilds)
    said = Guilds(rig.line)
    for guild in guilds:
        said.created(guild)
    return rig, said


async def test_nothing_is_sent_before_it_is_told_to(rig):
    rig, _ = await pending(rig, "100", "104")
    await asyncio.sleep(30)

    assert asked(rig.line) == []
    assert (rig.report.voice, rig.report.voice_to_rejoin) == (2, None)


async def test_one_guild_after_the_other_is_rejoined_with_pauses_that_keep_the_limit_of_sends(rig):
    guilds = [str(100 + number) for number in range(150)]
    rig, _ = await pending(rig, *guilds)
    rig.worker.set_neighbours(REJOIN)
    assert rig.report.voice_to_rejoin == 150
    for left in (100, 50, 0):
        await asyncio.sleep(30)
        rig.line.say(11)
        assert rig.report.voice_to_rejoin == pytest.approx(left, abs=1)
    await asyncio.sleep(1)

    assert rig.report.voice_to_rejoin == 0
    assert sorted(guild for _, guild in asked(rig.line)) == sorted(guilds)
    moments = [at for at, message in rig.line.sent if at > rig.line.opened_at + 1]
    assert max(sum(start <= at < start + 60 for at in moments) for start in moments) <= 110


async def test_shards_do_not_wait_for_each_other(rig):
    rig = rig({"neighbours": PENDING}, shard_ids=(3, 4))
    await rig.worker.start()
    await asyncio.sleep(0.1)
    lines = list(rig.network.lines)
    for number, line in enumerate(lines):
        line.hello()
        await asyncio.sleep(0.1)
        line.ready(session_id=str(number) * 32)
        said = Guilds(line)
        said.created("100")
        said.created("104")
    rig.worker.set_neighbours(REJOIN)
    await asyncio.sleep(REJOIN_EVERY * 1.5)

    assert [len(asked(line)) for line in lines] == [2, 2]
    assert rig.report.voice_to_rejoin == 0


async def test_it_counts_as_brought_over_when_discord_says_that_it_hangs_on_our_session(rig):
    rig, said = await pending(rig, "100")
    rig.worker.set_neighbours(REJOIN)
    await asyncio.sleep(1)
    assert (rig.report.voice, rig.report.voice_to_rejoin) == (1, 0)

    said.state("100")
    assert (rig.report.voice, rig.report.voice_to_rejoin) == (0, 0)
    await asyncio.sleep(10)
    assert len(asked(rig.line)) == 1


async def test_the_answer_reaches_the_bot(rig):
    rig, said = await pending(rig, "100")
    rig.worker.set_neighbours(REJOIN)
    await asyncio.sleep(1)
    said.state("100")
    said.say("VOICE_SERVER_UPDATE", {"guild_id": "100", "token": "x", "endpoint": "voice.example"})
    await asyncio.sleep(1)

    assert [event.type for event in rig.bot.events][-2:] == ["VOICE_STATE_UPDATE", "VOICE_SERVER_UPDATE"]


async def test_a_guild_left_meanwhile_is_passed_over(rig):
    rig, said = await pending(rig, "100", "104")
    said.say("GUILD_DELETE", {"id": "100"})
    rig.worker.set_neighbours(REJOIN)
    await asyncio.sleep(5)

    assert [guild for _, guild in asked(rig.line)] == ["104"]


async def test_while_a_shard_is_not_connected_its_guilds_wait(rig):
    rig, _ = await pending(rig, "100")
    first = rig.line
    first.listener.closed(1006)
    rig.worker.set_neighbours(REJOIN)
    await asyncio.sleep(0)
    assert rig.report.voice_to_rejoin == 1
    await asyncio.sleep(10)
    rig.line.hello()
    await asyncio.sleep(0.1)
    rig.line.resumed(3)
    await asyncio.sleep(1)

    assert asked(first) == []
    assert [guild for _, guild in asked(rig.line)] == ["100"]
    assert rig.report.voice_to_rejoin == 0


async def test_it_ends_when_the_order_is_taken_back_and_with_the_worker(rig):
    rig, _ = await pending(rig, "100", "104", "108")
    rig.worker.set_neighbours(REJOIN)
    await asyncio.sleep(0.1)
    rig.worker.set_neighbours(PENDING)
    await asyncio.sleep(5)
    assert len(asked(rig.line)) == 1
    assert rig.report.voice_to_rejoin is None

    rig.worker.set_neighbours(REJOIN)
    await asyncio.sleep(0.1)
    line = rig.line
    await rig.stop()
    await asyncio.sleep(5)
    assert len(asked(line)) == 2


@pytest.mark.parametrize("told", [Neighbours(), Neighbours(orders=orders(epoch=1))], ids=["no reshard", "active set"])
async def test_only_a_pending_set_listens(rig, told):
    rig, said = await pending(rig, "100", neighbours=told)
    said.state("100", session=OLD)
    rig.worker.set_neighbours(Neighbours(orders=told.orders, rejoin_voice=True))
    await asyncio.sleep(5)

    assert asked(rig.line) == []
    assert (rig.report.voice, rig.report.voice_to_rejoin) == (None, None)


async def test_it_listens_no_more_once_the_reshard_is_over(rig):
    rig, _ = await pending(rig, "100")
    rig.worker.set_neighbours(Neighbours())

    assert rig.report.voice is None


async def test_all_workers_together_know_what_every_one_of_them_knows(rig):
    rig, _ = await pending(rig, "100", "104")
    knows = rig.report
    other = msgspec.structs.replace(knows, voice=3, voice_to_rejoin=1)

    both = merged([knows, other])
    assert (both.voice, both.voice_to_rejoin) == (5, None)
    assert merged([counts_only(other), other]).voice_to_rejoin == 1
    assert merged([other, msgspec.structs.replace(knows, voice=None)]).voice is None
    assert merged([WorkerReport()]).voice is None


async def test_the_operator_hears_at_once_that_the_order_has_come_and_that_all_is_sent(rig):
    rig, _ = await pending(rig, "100", "104")
    before = rig.changes
    rig.worker.set_neighbours(REJOIN)
    await asyncio.sleep(0.1)
    assert rig.changes == before + 1
    await asyncio.sleep(REJOIN_EVERY)
    assert rig.changes == before + 2
    await asyncio.sleep(30)
    assert rig.changes == before + 2
