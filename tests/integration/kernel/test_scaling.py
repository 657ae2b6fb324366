"""What KEDA asks the database, on a migrated one and as the service's own role."""

import psycopg
import pytest
import yaml

from deploy.containers.manifests import rendered
from tests.support.kernel import database_url

TRIGGERS = [
    (one["metadata"]["name"], trigger["metadata"]["query"])
    for one in yaml.safe_load_all(rendered("prod").read_text())
    if one["kind"] == "ScaledObject"
    for trigger in one["spec"]["triggers"]
    if trigger["type"] == "postgresql"
]
WORK = (
    "INSERT INTO work (organisation, kind, subject, target, wanted, due_at)"
    " VALUES ('alvsund', 'person', %s, 'test', %s, now() + %s::interval)"
)


@pytest.mark.parametrize(("service", "query"), TRIGGERS, ids=[service for service, _ in TRIGGERS])
def test_due_work_is_counted_and_work_of_later_is_not(admin_url: str, service: str, query: str) -> None:
    with psycopg.connect(database_url(admin_url, service), autocommit=True) as conn:
        for subject, wanted, due in (("wanted", 1, "1 day"), ("due", 0, "-1 day"), ("later", 0, "1 day")):
            conn.execute(WORK, (subject, wanted, due))
        assert conn.execute(query.encode()).fetchone() == (2,)
