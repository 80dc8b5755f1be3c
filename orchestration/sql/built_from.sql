select comment
from duckdb_tables()
where database_name = current_database() and schema_name = 'batches' and table_name = 'finished_builds'
