"""Managers: how entries refer to an account, who may be shown as one, and what an attribute depends on."""

from alembic import op

revision = "accounts_0007"
down_revision = "accounts_0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add columns and tables. Of accounts from before it is not known who leads until their next pass."""
    op.execute("""
ALTER TABLE account ADD COLUMN IF NOT EXISTS reference text;
ALTER TABLE account ADD COLUMN IF NOT EXISTS leads boolean;
ALTER TABLE account ADD COLUMN IF NOT EXISTS looks text[] NOT NULL DEFAULT '{}';
ALTER TABLE account ADD COLUMN IF NOT EXISTS looks_since timestamptz;
COMMENT ON COLUMN account.reference IS 'how other entries of the target refer to it: its name, or its id';
COMMENT ON COLUMN account.leads IS 'may be shown as a manager: open now or later, and not protected; null: not known yet';
COMMENT ON COLUMN account.looks IS 'units and people that its manager depends on';
COMMENT ON COLUMN account.looks_since IS 'since when it depends on these (database clock)';

CREATE TABLE IF NOT EXISTS manager_news (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    organisation text NOT NULL,
    target text,
    key text NOT NULL,
    at timestamptz NOT NULL DEFAULT clock_timestamp(),
    due_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    spread boolean NOT NULL DEFAULT false
);
CREATE INDEX IF NOT EXISTS manager_news_due ON manager_news (due_at);
COMMENT ON TABLE manager_news IS 'what managers depend on has changed: whom it concerns is looked at, and once more when passes that were under way have ended';
COMMENT ON COLUMN manager_news.target IS 'null: all targets';

CREATE TABLE IF NOT EXISTS manager_look (
    organisation text NOT NULL,
    person uuid NOT NULL,
    target text NOT NULL,
    at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (organisation, person, target)
);
CREATE INDEX IF NOT EXISTS manager_look_oldest ON manager_look (at);
COMMENT ON TABLE manager_look IS 'whose manager may have changed: woken a few at a time';
""")
    with op.get_context().autocommit_block():
        # it waits for whoever writes and holds nobody up; what an earlier try left is not valid
        op.execute("SET lock_timeout = 0")
        op.execute("DROP INDEX CONCURRENTLY IF EXISTS account_looks")
        op.execute("CREATE INDEX CONCURRENTLY account_looks ON account USING gin (looks) WITH (fastupdate = off)")
        op.execute("SET lock_timeout = '3s'")
