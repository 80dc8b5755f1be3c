select
    schema_name,
    table_name,
    method,
    key,
    rows_on,
    changed_on,
from publish_tables
order by schema_name, table_name
