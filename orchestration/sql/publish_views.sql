-- The views' own SQL, as dbt made them: it names schemas but no database, so it means the same in the published file.
select
    schema_name,
    view_name,
    sql,
from duckdb_views()
where
    database_name = current_database()
    and not internal
    and not temporary
    and (schema_name in ('triggers', 'monitoring') or view_name = 'int_identity_links')
order by view_oid, schema_name, view_name
