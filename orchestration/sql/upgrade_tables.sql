select
    count(*) filter (where table_name = 'schema_version') > 0 as has_version,
    count(*) > 0 as has_tables
from duckdb_tables()
where database_name = current_database() and schema_name = 'raw'
