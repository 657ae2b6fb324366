"""What is counted and timed, with names by Prometheus' conventions: base units, `_total`, few values per label.

Labels are routes, queues, topics, targets and classes, all of them closed lists; never a person, a unit or an
organisation. Which service it was is a label of the scrape (`service`), not of each metric.
"""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, disable_created_metrics
from prometheus_client.gc_collector import GCCollector
from prometheus_client.process_collector import ProcessCollector

from contracts.registry import INTERNAL

disable_created_metrics()  # type: ignore[no-untyped-call]  # a second series for each, which nobody reads
REGISTRY = CollectorRegistry(auto_describe=True)
"""Of the process, as the loggers are: what the parts count from any thread ends here."""
ProcessCollector(registry=REGISTRY)
GCCollector(registry=REGISTRY)

_FAST = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
_SLOW = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
_AGES = (0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 1800.0, 7200.0)

HTTP_REQUEST = Histogram(
    "stafett_http_request_duration_seconds",
    "Time from a request's arrival to the end of its answer.",
    ("method", "route", "status"),
    registry=REGISTRY,
    buckets=_FAST,
)
PUBLISHED = Counter(
    "stafett_messages_published_total",
    "Messages that the broker has confirmed; lane is express, bulk, replay or command.",
    ("lane", "topic"),
    registry=REGISTRY,
)
REFUSED = Counter(
    "stafett_messages_refused_total",
    "Messages that the broker returned or refused; they are tried again later.",
    ("lane",),
    registry=REGISTRY,
)
PUBLISH_BATCH = Histogram(
    "stafett_publish_batch_duration_seconds",
    "Time to publish a batch of the outbox, until confirmed and marked.",
    ("lane",),
    registry=REGISTRY,
    buckets=_FAST,
)
TAKEN_IN = Counter(
    "stafett_messages_taken_in_total",
    "Messages that were committed by the intake, by result: new or duplicate.",
    ("queue", "result"),
    registry=REGISTRY,
)
BURIED = Counter(
    "stafett_messages_dead_total", "Messages kept as dead letters by the intake.", ("queue",), registry=REGISTRY
)
INTAKE_BATCH = Histogram(
    "stafett_intake_batch_duration_seconds",
    "Time to take in a batch, from the first statement to the commit.",
    ("queue",),
    registry=REGISTRY,
    buckets=_FAST,
)
MESSAGE_AGE = Histogram(
    "stafett_message_age_seconds",
    "Age of a new message when it was taken in, counted from its `time`; replays are left out.",
    ("queue",),
    registry=REGISTRY,
    buckets=_AGES,
)
QUEUE_READY = Gauge(
    "stafett_queue_ready_messages",
    "Messages ready in the broker's queue, as the consumer's watchdog saw it; NaN without a session.",
    ("queue",),
    registry=REGISTRY,
)
WORK_PASS = Histogram(
    "stafett_work_pass_duration_seconds",
    "Time of a pass, by outcome: done, or the class of its failure.",
    ("target", "outcome"),
    registry=REGISTRY,
    buckets=_SLOW,
)
WORK_RETRY = Counter(
    "stafett_work_retries_total", "Passes that were not the first attempt.", ("target",), registry=REGISTRY
)
LEASE_LOST = Counter(
    "stafett_work_leases_lost_total", "Passes whose lease had gone to another.", ("target",), registry=REGISTRY
)
BREAKER_OPENED = Counter("stafett_breaker_opened_total", "Times a breaker opened.", ("target",), registry=REGISTRY)
PURGED = Counter(
    "stafett_retention_purged_rows_total", "Rows that the purge has forgotten.", ("data_class",), registry=REGISTRY
)
ACTIVATION = Counter(
    "stafett_activations_total", "Uses of activation codes, by what became of them.", ("verdict",), registry=REGISTRY
)
REWRITTEN = Counter(
    "stafett_account_rewritten_total",
    "Writes of what had been written before: another hand writes too.",
    ("target",),
    registry=REGISTRY,
)
LDAP_OPERATION = Histogram(
    "stafett_ldap_operation_duration_seconds",
    "Time of a call to the directory, by outcome: done, refused or unavailable.",
    ("operation", "outcome"),
    registry=REGISTRY,
    buckets=_FAST,
)
GRAPH_OPERATION = Histogram(
    "stafett_graph_operation_duration_seconds",
    "Time of a request to Microsoft Graph, by method and path template; done, refused, throttled or unavailable.",
    ("operation", "outcome"),
    registry=REGISTRY,
    buckets=_SLOW,
)

_TOPICS = frozenset(row.topic for row in INTERNAL.values())


def published(routing_key: str) -> None:
    """Count a confirmed message under its lane and topic; a key that is not ours counts as `other`."""
    lane, _, topic = routing_key.partition(".")
    if lane == "replay":
        topic = topic.partition(".")[2]
    elif lane == "command":
        topic = "command"
    if topic not in _TOPICS:
        lane, topic = "other", "other"
    PUBLISHED.labels(lane, topic).inc()
