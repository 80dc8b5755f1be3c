select count(*) = 1
from duckdb_tables()
where database_name = current_database() and schema_name = 'batches' and table_name = 'int_batch__limits'
