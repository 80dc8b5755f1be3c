select
    schema_name,
    view_name,
from duckdb_views()
where database_name = 'published_file' and not internal
order by schema_name, view_name
