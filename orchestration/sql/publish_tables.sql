-- What is published, and how one build's rows get into the file of the build before it:
--   swap    the affected users' rows for which `changed_on` holds (as the models' own swap_on); $first_change is the
--           earliest changed_from of any user, a plain bound that lets DuckDB skip row groups
--   append  rows for which `changed_on` holds and whose `key` is not there yet; it bounds the search for them
--   whole   every row
-- A table of these schemas that no rule names is published whole, so that a new one is never forgotten.
-- `rows_on` keeps out what the published build does not know of. $batch_id and $delivery_seq are those of the
-- published file, $upto_batch_id and $build_id those of the build.
create or replace temp table publish_tables as

with

rules (schema_name, table_name, method, key, rows_on, changed_on) as (
    values
    (
        'triggers', 'trigger_matches', 'swap', null, 'true',
        'rows.matched_at >= affected.changed_from and rows.matched_at >= $first_change'
    ),
    ('behavior', 'int_user_behavior', 'swap', null, 'true', 'true'),
    ('triggers', 'user_profiles', 'swap', null, 'true', 'true'),
    (
        'behavior', 'int_visits', 'swap', null, 'true',
        'rows.visit_ended_at >= affected.changed_from - interval ''30 minutes'' '
        'and rows.visit_ended_at >= $first_change - interval ''30 minutes'''
    ),
    (
        'behavior', 'int_consents', 'swap', null, 'true',
        'rows.said_at >= affected.changed_from and rows.said_at >= $first_change'
    ),
    (
        'batches', 'int_identity_log', 'append', 'batch_id',
        'rows.batch_id <= $upto_batch_id', 'rows.batch_id > $batch_id'
    ),
    -- A build without new events decides on timers under the same batch again.
    ('triggers', 'trigger_decisions', 'append', 'decision_id', 'true', 'rows.batch_id >= $batch_id'),
    ('triggers', 'firing_products', 'append', 'decision_id', 'true', 'rows.batch_id >= $batch_id'),
    ('triggers', 'campaign_deliveries', 'append', 'delivery_seq', 'true', 'rows.delivery_seq > $delivery_seq'),
    ('raw', 'load_batches', 'append', 'batch_id', 'rows.batch_id <= $upto_batch_id', 'rows.batch_id > $batch_id'),
    ('raw', 'quarantined_events', 'append', 'batch_id', 'rows.batch_id <= $upto_batch_id', 'rows.batch_id > $batch_id'),
    ('raw', 'config_versions', 'append', 'config_version', 'true', 'true'),
    ('batches', 'int_batch__limits', 'whole', null, 'true', 'true'),
    ('batches', 'finished_builds', 'whole', null, 'rows.build_id = $build_id', 'true'),
),

final as (
    select
        tables.schema_name,
        tables.table_name,
        coalesce(rules.method, 'whole') as method,
        rules.key,
        coalesce(rules.rows_on, 'true') as rows_on,
        coalesce(rules.changed_on, 'true') as changed_on,
    from duckdb_tables() as tables
    left join rules on tables.schema_name = rules.schema_name and tables.table_name = rules.table_name
    where
        tables.database_name = current_database()
        and not tables.temporary
        and not tables.internal
        and (rules.method is not null or tables.schema_name in ('triggers', 'config', 'monitoring'))
)

select * from final
