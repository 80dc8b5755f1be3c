-- What this file holds. The schema is not called `published`: DuckDB cannot tell that from a file published.duckdb.
create schema if not exists published_file.publication;

create or replace table published_file.publication.build as
select
    $build_id as build_id,
    $prior_build_id::varchar as prior_build_id,
    $upto_batch_id as upto_batch_id,
    $clock_at as clock_at,
    $published_at as published_at,
    $delivery_seq as delivery_seq,
    $layout as layout,
    $views as views;

create or replace table published_file.publication.tables as
select
    unnest($tables::varchar[]) as table_name,
    unnest($counts::bigint[]) as row_count;

-- For the file before this one, which is carried on next and lacks what this build changed.
create or replace table published_file.publication.changes as
select
    user_id,
    changed_from,
from batches.int_batch__affected_users;
