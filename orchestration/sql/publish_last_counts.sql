select
    table_name,
    row_count,
from published_file.publication.tables
order by table_name
