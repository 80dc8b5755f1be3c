select
    schema_name,
    table_name,
from duckdb_tables()
where database_name = 'memory'
order by schema_name, table_name
