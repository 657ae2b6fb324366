"""The projections: everything is keyed by organisation and can be rebuilt from a replay."""

from alembic import op

revision = "status_0001"
down_revision = None
branch_labels = ("status",)
depends_on = "kernel_0001"


def upgrade() -> None:
    """Create the tables."""
    op.execute(
        """
        CREATE TABLE person (
            organisation text NOT NULL,
            person uuid NOT NULL,
            generation integer NOT NULL,
            revision integer NOT NULL,
            display text NOT NULL,
            sort_name text NOT NULL,
            protection text NOT NULL,
            core jsonb NOT NULL,
            words text[] NOT NULL,
            search tsvector NOT NULL DEFAULT '',
            recorded_at timestamptz NOT NULL,
            PRIMARY KEY (organisation, person)
        );
        CREATE INDEX person_search ON person USING gin (search);
        CREATE INDEX person_listed ON person (organisation, sort_name, person);

        CREATE TABLE person_revision (
            organisation text NOT NULL,
            person uuid NOT NULL,
            generation integer NOT NULL,
            revision integer NOT NULL,
            case_id uuid NOT NULL,
            kind text NOT NULL,
            reason text NOT NULL,
            effective_at timestamptz NOT NULL,
            accepted_at timestamptz NOT NULL,
            recorded_at timestamptz NOT NULL,
            baseline boolean NOT NULL,
            PRIMARY KEY (organisation, person, generation, revision)
        );
        CREATE INDEX person_revision_case ON person_revision (organisation, case_id);

        CREATE TABLE unit (
            organisation text NOT NULL,
            unit text NOT NULL,
            generation integer NOT NULL,
            revision integer NOT NULL,
            name text NOT NULL,
            record jsonb NOT NULL,
            PRIMARY KEY (organisation, unit)
        );

        CREATE TABLE account (
            organisation text NOT NULL,
            person uuid NOT NULL,
            target text NOT NULL,
            generation integer NOT NULL,
            version integer NOT NULL,
            state text NOT NULL,
            user_name text,
            mail text,
            words text[] NOT NULL,
            changed_at timestamptz NOT NULL,
            verified_at timestamptz NOT NULL,
            record jsonb NOT NULL,
            PRIMARY KEY (organisation, person, target)
        );
        CREATE TABLE account_change (
            organisation text NOT NULL,
            person uuid NOT NULL,
            target text NOT NULL,
            generation integer NOT NULL,
            version integer NOT NULL,
            state text NOT NULL,
            user_name text,
            changed_at timestamptz NOT NULL,
            PRIMARY KEY (organisation, person, target, generation, version)
        );

        CREATE TABLE evaluation (
            organisation text NOT NULL,
            person uuid NOT NULL,
            service text NOT NULL,
            target text NOT NULL,
            generation integer NOT NULL,
            version integer NOT NULL,
            revision integer NOT NULL,
            policy_hash text NOT NULL,
            as_of timestamptz NOT NULL,
            recorded_at timestamptz NOT NULL,
            next_due timestamptz,
            blocked boolean NOT NULL,
            blocked_from timestamptz,
            trouble text,
            steps jsonb NOT NULL,
            why jsonb NOT NULL,
            PRIMARY KEY (organisation, person, service, target)
        );
        CREATE INDEX evaluation_due ON evaluation (organisation, next_due) WHERE next_due IS NOT NULL;

        -- Every evaluation, as far as readiness is concerned: what makes done_at independent of the order of arrival.
        CREATE TABLE evaluated (
            organisation text NOT NULL,
            person uuid NOT NULL,
            service text NOT NULL,
            target text NOT NULL,
            generation integer NOT NULL,
            version integer NOT NULL,
            revision integer NOT NULL,
            as_of timestamptz NOT NULL,
            recorded_at timestamptz NOT NULL,
            blocked boolean NOT NULL,
            blocked_from timestamptz,
            trouble text,
            PRIMARY KEY (organisation, person, service, target, generation, version)
        );

        CREATE TABLE step (
            organisation text NOT NULL,
            person uuid NOT NULL,
            service text NOT NULL,
            target text NOT NULL,
            generation integer NOT NULL,
            epoch integer NOT NULL,
            attempt integer NOT NULL,
            revision integer NOT NULL,
            code text NOT NULL,
            state text NOT NULL,
            parameters jsonb NOT NULL,
            problem jsonb,
            recorded_at timestamptz NOT NULL,
            retry_at timestamptz,
            PRIMARY KEY (organisation, person, service, target, generation, epoch)
        );

        CREATE TABLE "case" (
            organisation text NOT NULL,
            case_id uuid NOT NULL,
            person uuid NOT NULL,
            kind text NOT NULL,
            reason text NOT NULL,
            reasons text[] NOT NULL,
            opened_revision integer NOT NULL,
            generation integer NOT NULL,
            revision integer NOT NULL,
            effective_at timestamptz NOT NULL,
            accepted_at timestamptz NOT NULL,
            updated_at timestamptz NOT NULL,
            baseline boolean NOT NULL,
            cancelled boolean NOT NULL,
            closed_at timestamptz,
            done_at timestamptz,
            protected boolean NOT NULL,
            stuck boolean NOT NULL,
            retrying_since timestamptz,
            PRIMARY KEY (organisation, case_id)
        );
        CREATE INDEX case_person ON "case" (organisation, person, accepted_at);
        CREATE INDEX case_listed ON "case" (organisation, accepted_at, case_id);
        CREATE INDEX case_open ON "case" (organisation, accepted_at, case_id) WHERE closed_at IS NULL;
        CREATE INDEX case_reason ON "case" (organisation, reason, accepted_at, case_id);
        CREATE INDEX case_counted ON "case"
            (organisation, accepted_at, kind, protected, cancelled, closed_at, done_at, stuck, retrying_since,
             effective_at, reason);

        CREATE TABLE attention (
            organisation text NOT NULL,
            person uuid NOT NULL,
            service text NOT NULL,
            target text NOT NULL,
            ordinal integer NOT NULL,
            state text NOT NULL,
            code text NOT NULL,
            problem jsonb,
            hold uuid,
            revision integer NOT NULL,
            attempt integer NOT NULL,
            since timestamptz NOT NULL,
            recorded_at timestamptz NOT NULL,
            retry_at timestamptz,
            PRIMARY KEY (organisation, person, service, target, ordinal)
        );
        CREATE INDEX attention_listed ON attention (organisation, since, person, service, target, ordinal);

        CREATE TABLE audit (
            organisation text NOT NULL,
            id uuid NOT NULL,
            actor text NOT NULL,
            action text NOT NULL,
            subject text,
            reason text,
            recorded_at timestamptz NOT NULL,
            parameters jsonb NOT NULL,
            PRIMARY KEY (organisation, id)
        );
        CREATE INDEX audit_subject ON audit (organisation, subject, recorded_at);

        CREATE TABLE command (
            id uuid PRIMARY KEY,
            organisation text NOT NULL,
            digest text NOT NULL,
            accepted_at timestamptz NOT NULL
        );

        -- One person's history, newest first by (at, source, key); a person has some hundred rows at most.
        CREATE VIEW timeline AS
        SELECT organisation, person, recorded_at AS at, 'revision' AS source,
               generation || '.' || revision AS key,
               jsonb_build_object('kind', kind, 'reason', reason, 'caseId', case_id, 'revision', revision,
                                  'effectiveAt', effective_at) AS body
        FROM person_revision
        UNION ALL
        SELECT organisation, person, recorded_at, 'step', service || '/' || target || '/' || generation || '.' || epoch,
               jsonb_build_object('service', service, 'target', target, 'code', code, 'state', state,
                                  'attempt', attempt, 'revision', revision, 'parameters', parameters,
                                  'problem', problem, 'retryAt', retry_at)
        FROM step
        UNION ALL
        SELECT organisation, person, changed_at, 'account', target || '/' || generation || '.' || version,
               jsonb_build_object('target', target, 'state', state, 'userName', user_name)
        FROM account_change;
        """
    )
