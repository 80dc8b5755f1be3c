select count(*) > 0 as has_tables
from duckdb_tables()
where database_name = current_database() and schema_name = 'raw'
