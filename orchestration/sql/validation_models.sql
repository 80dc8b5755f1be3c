select
    schema_name,
    model_name,
    is_view,
    compiled_sql,
from rules.models
order by position
