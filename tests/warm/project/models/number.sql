select 1 as number
