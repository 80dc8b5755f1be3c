-- In the order of the table: raw.events stays in arrival order, which is what lets a batch skip history.
copy (select * from {table}) to {file} (format parquet, compression zstd);
