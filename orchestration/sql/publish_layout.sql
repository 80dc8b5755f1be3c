-- A published file of another layout is made anew.
select
    md5(string_agg(
        concat_ws('|', columns.schema_name, columns.table_name, columns.column_name, columns.data_type),
        chr(10) order by columns.schema_name, columns.table_name, columns.column_index
    )) as layout
from duckdb_columns() as columns
inner join publish_tables
    on columns.schema_name = publish_tables.schema_name and columns.table_name = publish_tables.table_name
where columns.database_name = current_database()
