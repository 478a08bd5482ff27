"""What each field of the status means, as `kubectl explain` tells it: by model of core/status_model.py and field."""

STATUS_DESCRIPTIONS = {
    "GatewayStatus": {
        "phase": "One word for the whole. Pending: the number of shards is not known yet. Connecting: nothing but "
        "time is needed. Running: all is well. Degraded: it works in part. Failed: Discord refuses, and a person "
        "has to act. Suspended: spec.suspend has ended all pods.",
        "conditions": "Ready, Progressing, Resharding, Degraded, Paused and IdentifyBudgetOK, each with a reason for "
        "programs and a message for people.",
        "shards": "The number of shards of the whole set, also where this gateway holds a part of it.",
        "readyShards": "How many of the active set's shards are connected.",
        "guilds": "Guilds on the active set's shards.",
        "active": "The set of shards whose events reach the bot.",
        "pending": "The set of shards that takes over, while a reshard runs.",
        "reshard": "The reshard that runs or is wanted. Absent: none.",
        "sessionStartLimit": "The budget of identifies, as Discord tells it.",
        "recommendedShards": "The number of shards that Discord recommends.",
        "rollout": "How far all pods are of the wanted revision.",
        "deadLetters": "Events that the bot refused too often. Somebody has to look at them.",
    },
    "Condition": {
        "type": "What the condition is about, such as Ready.",
        "status": "True, False or Unknown.",
        "reason": "Why, in one word for programs.",
        "message": "Why, in a sentence for people.",
    },
    "RangeStatus": {
        "firstShardId": "The first shard of the range.",
        "lastShardId": "The last shard of the range, which is part of it.",
    },
    "ShardSetStatus": {
        "epoch": "The number of the set, counted up by each reshard.",
        "shardCount": "The number of shards of the whole set.",
        "ranges": "The ranges of shards, one a pod.",
        "ready": "How many of the set's shards are connected.",
    },
    "ReshardStatus": {
        "phase": "Preparing, Starting, Warming, HandingOver, Draining or Aborting.",
        "reason": "Why it was begun, in one word for programs.",
        "from": "The number of shards before.",
        "to": "The number of shards after.",
        "ranges": "How many ranges of the new set there are to hand over.",
        "handedRanges": "The ranges that the new set delivers already.",
        "startedAt": "When it was begun.",
        "eta": "When it is expected to be done. Absent while that cannot be told.",
        "progress": "How far the phase is, in words.",
        "message": "All of it in a sentence.",
        "waitingFor": "Why it does not go on at the moment. Absent when it does.",
        "paused": "Whether a person has paused it, or the whole gateway.",
    },
    "SessionStartLimitStatus": {
        "total": "Identifies a day.",
        "remaining": "Identifies left.",
        "resetAt": "When all are there again. Absent until Discord has told.",
        "maxConcurrency": "How many shards may identify at once.",
    },
    "RolloutStatus": {
        "restarts": "How often a restart of all pods was asked for.",
        "pods": "How many pods there are to be.",
        "replaced": "How many of them are of the wanted revision and hold their shards.",
        "leaving": "How many former pods still hold something.",
    },
}
