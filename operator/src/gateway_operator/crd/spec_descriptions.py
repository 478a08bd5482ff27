"""What each field of the spec means, as `kubectl explain` tells it: by model and field, an empty name for the model."""

SPEC_DESCRIPTIONS = {
    "DiscordGateway": {
        "": "A Discord bot's connection to the gateway: its shards, held apart from the bot, and how their events "
        "reach it.",
        "apiVersion": "The version of this resource's schema: discordgateway.dev/v1alpha1.",
        "kind": "The kind of this resource: DiscordGateway.",
        "spec": "What is wanted.",
        "status": "What is. Written by the operator.",
    },
    "Metadata": {
        "name": "The names of the pods begin with it, and their numbers follow: hence the 40 characters.",
    },
    "SecretRef": {
        "name": "The name of the Secret, not the secret itself.",
        "key": "The name of the key in the Secret, not the secret itself.",
    },
    "Spec": {
        "tokenSecretRef": "Name and key of a Secret in the same namespace that holds the bot's token.",
        "intents": "Which events Discord sends: names such as GuildMessages or GUILD_MESSAGES, or numbers, or'ed "
        "together. Some need a switch in Discord's Developer Portal. A change makes every shard identify anew.",
        "presence": "The presence that every shard identifies with. Left out, the bot is online without an activity.",
        "discord": "How to reach Discord.",
        "shards": "How many shards the bot has in all. Left out, it is Discord's recommendation at first, and "
        "`reshard` decides from then on. A change reshards without downtime; `kubectl scale` sets this field.",
        "sharding": "How shards are spread over pods and processes, and how fast they identify.",
        "reshard": "When the number of shards changes by itself, and how a new set of shards takes over from the old "
        "one.",
        "delivery": "How events reach the bot.",
        "paused": "Whether changes are held: no pod is replaced for new settings, no reshard begins, and none goes on "
        "to another range. What keeps the bot connected goes on: pods that crash or are evicted are started again.",
        "suspend": "Whether all pods are ended. Their sessions are closed so that they can be resumed. On one "
        "machine all events that wait are kept; on Kubernetes they and the dead letters go with the pods, but for what "
        "Discord replays. Sessions resume if it is false again within about a minute and a half; later each shard "
        "identifies anew, and what happened meanwhile is missed.",
        "template": "What the pods are to have beside what the operator gives them, such as nodeSelector or resources. "
        "Without Kubernetes it is not used.",
    },
    "Template": {
        "metadata": "Labels and annotations of the pods.",
        "spec": "Part of a PodSpec (kubectl explain pod.spec), merged as by kubectl patch: the pods' own container is "
        "named shardpod. Its command, its probes' paths and the operator's variables cannot be changed.",
    },
    "TemplateMetadata": {
        "labels": "Labels of the pods.",
        "annotations": "Annotations of the pods, such as those that a sidecar's injector reads.",
    },
    "Presence": {
        "status": "The bot's status.",
        "activities": "What the bot is shown to be doing.",
        "since": "Since when the bot is idle, in milliseconds since 1970-01-01 (Unix time).",
        "afk": "Whether the bot counts as away from the keyboard.",
    },
    "Activity": {
        "name": "The activity's name.",
        "type": "0: playing, 1: streaming, 2: listening to, 3: watching, 4: custom (shows `state`), 5: competing in.",
        "state": "What the bot is doing, or the text of a custom status.",
        "url": "The address of a stream, for streaming.",
    },
    "Discord": {
        "baseURL": "The base of Discord's HTTP API, or of a REST proxy in front of it.",
        "authorizationSecretRef": "Name and key of a Secret in the same namespace that the REST proxy wants in the "
        "Authorization header. Left out, the bot's token is sent.",
        "gatewayURL": "The gateway's address, in place of what Discord's GET /gateway/bot returns.",
        "caSecretRef": "Name and key of a Secret in the same namespace that holds certificate authorities (PEM) to "
        "trust in addition, for a private proxy.",
        "compression": "How Discord compresses what it sends.",
    },
    "Sharding": {
        "shardsPerPod": "How many shards one pod holds.",
        "shardsPerWorker": "How many shards one process in a pod holds.",
        "maxWorkers": "How many processes a pod has at most; each holds more shards then. Left out, there is no bound.",
        "firstShardId": "The first shard that this gateway holds, where several clusters share one bot; it is part "
        "of the range. Needs `spec.shards`, and no resharding by itself.",
        "lastShardId": "The last shard that this gateway holds; it is part of the range. Needs `spec.shards`, and no "
        "resharding by itself.",
        "spawnShardDelay": "The time between two identifies at least, such as 1500ms. 0s: as fast as Discord allows.",
        "maxConcurrency": "How many shards identify at once; used is the largest number up to it that divides "
        "Discord's own. It can only slow them down: Discord's limit always holds.",
    },
    "Reshard": {
        "auto": "Whether the number of shards changes by itself. Left out it does, but not where `spec.shards` is "
        "given, nor where this gateway holds a part of the shards.",
        "percentage": "Reshard when a shard is so full, in percent of the 2,500 guilds that Discord allows it.",
        "basis": "Which shard is held against `percentage`: the fullest one, or the average of all.",
        "useOptimalLargeBotSharding": "From 100,000 guilds on, round the number of shards up to a multiple of "
        "Discord's max_concurrency.",
        "identifyReserve": "Identifies of the day's budget that are always kept back. A reshard that would touch "
        "them waits, and says so.",
        "abortAfter": "After this time without progress a reshard is given up, and the old set of shards goes on.",
        "settle": "The time between two ranges of shards that change hands.",
        "drainDelay": "How long the old set stays connected after the new one has taken over everything.",
        "maxSkew": "How much later than another a session may receive the same event. A longer time tolerates slower "
        "sessions; the handover takes longer.",
        "fenceTimeout": "How long the bot may take to acknowledge what is under way when a range changes hands; "
        "after it the old set goes on, and the handover is tried again later.",
        "voice": "rejoin: the new sessions join the bot's voice channels before the old ones end. wait: the reshard "
        "waits until the bot is in none.",
        "events": "Whether the bot is told by an event GATEWAY_SHARDS_CHANGED that the new set delivers everything.",
        "window": "When reshards may begin by themselves. Left out: at any time.",
    },
    "Window": {
        "cron": 'When the window opens, in UTC: minute, hour, day of the month, month, day of the week. Such as "0 3 '
        '* * 1-5".',
        "duration": "How long the window stays open.",
    },
    "Delivery": {
        "sink": "Where events are sent.",
        "ordering": "Which events wait for one another: those of a guild, those of a shard, or none.",
        "timeout": "How long the bot may take to answer one request.",
        "maxAttempts": "After how many failures of its own an event is put with the dead letters, so that its "
        "guild's other events go on.",
        "queue": "Where events wait while the bot is slow or away.",
        "events": "Which events are delivered. Applied before they wait.",
    },
    "Sink": {
        "http": "Each event, or each batch of them, is one POST.",
    },
    "HttpSink": {
        "url": "The bot's address. A secret does not belong in it.",
        "authorizationSecretRef": "Name and key of a Secret in the same namespace that is sent as the Authorization "
        "header.",
        "batch": "Several events in one request.",
        "maxInFlight": "How many requests of one pod are under way at once.",
        "compression": "Whether request bodies of 256 bytes or more are compressed.",
    },
    "Batch": {
        "maxEvents": "How many events are in one request at most. 1: the body is one event and no list.",
    },
    "Queue": {
        "maxEvents": "How many events wait in one pod at most.",
        "maxBytes": "The memory of the events that wait in one pod, such as 256Mi.",
        "overflow": "What happens at the bounds: the oldest or the newest events are dropped, or the pod stops "
        "reading, as long as Discord has patience.",
        "shedFirst": "Event types that are dropped before all others at the bounds, such as TYPING_START.",
        "spool": "Disk for events that wait longer than some seconds, so that they outlive the pod's process.",
    },
    "Spool": {
        "maxBytes": "The disk of one pod for events that wait, such as 2Gi. 0: they wait in memory alone. "
        "Checkpoints and dead letters are on disk all the same.",
    },
    "Events": {
        "include": "The event types that are delivered, as Discord names them, such as MESSAGE_CREATE. Empty: all.",
        "exclude": "Event types that are not delivered.",
    },
}
