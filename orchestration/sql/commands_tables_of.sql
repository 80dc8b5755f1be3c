-- Tables and views of one attached file.
select
    table_schema,
    table_name,
from information_schema.tables
where table_catalog = $database
order by table_schema, table_name
