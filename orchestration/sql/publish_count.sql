select count(*) as rows from {table} as rows where {rows_on}
