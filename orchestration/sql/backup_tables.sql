-- What nothing can rebuild: everything the loader wrote, the ledger, and the delivery log.
select
    schema_name,
    table_name,
from duckdb_tables()
where
    database_name = current_database()
    and (
        (schema_name = 'raw' and table_name <> 'schema_version')
        or (schema_name = 'triggers' and table_name in ('trigger_decisions', 'campaign_deliveries'))
    )
order by schema_name, table_name
