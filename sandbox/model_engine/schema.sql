-- The product's tables, as far as this sandbox uses them. Owners are varchar(24): a longer token cannot create anything.
CREATE SCHEMA IF NOT EXISTS hosted_model_inference;

CREATE TABLE IF NOT EXISTS hosted_model_inference.bundles (
    id                 text PRIMARY KEY,
    name               varchar(128) NOT NULL,
    created_by         varchar(24) NOT NULL,
    owner              varchar(24) NOT NULL,
    created_at         timestamptz NOT NULL DEFAULT now(),
    bundle_metadata    json NOT NULL,
    model_artifact_ids text[] NOT NULL DEFAULT '{}',
    schema_location    text,
    flavor             json NOT NULL
);

CREATE TABLE IF NOT EXISTS hosted_model_inference.endpoints (
    id                text PRIMARY KEY,
    name              text NOT NULL,
    created_by        varchar(24) NOT NULL,
    owner             varchar(24) NOT NULL,
    created_at        timestamptz NOT NULL DEFAULT now(),
    last_updated_at   timestamptz NOT NULL DEFAULT now(),
    current_bundle_id text NOT NULL REFERENCES hosted_model_inference.bundles (id),
    endpoint_metadata jsonb,
    creation_task_id  text NOT NULL,
    endpoint_type     text NOT NULL,
    destination       text NOT NULL,
    endpoint_status   text NOT NULL,
    public_inference  boolean NOT NULL DEFAULT false,
    status_reason     varchar(500),
    task_expires_seconds          integer,
    queue_message_timeout_seconds integer,
    CONSTRAINT endpoint_name_created_by_uc UNIQUE (name, created_by)
);

CREATE TABLE IF NOT EXISTS public.alembic_version_model_engine (version_num varchar(32) PRIMARY KEY);
INSERT INTO public.alembic_version_model_engine VALUES ('c4d5e6f7a8b9') ON CONFLICT DO NOTHING;
