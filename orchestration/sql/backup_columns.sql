select
    column_name,
    data_type,
    is_nullable,
from duckdb_columns()
where database_name = current_database() and schema_name = $schema_name and table_name = $table_name
order by column_index
