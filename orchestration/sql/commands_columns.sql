-- The columns of a database's tables. Parameter: $database.
select
    schema_name,
    table_name,
    column_name,
from duckdb_columns()
where database_name = $database
order by schema_name, table_name, column_index
