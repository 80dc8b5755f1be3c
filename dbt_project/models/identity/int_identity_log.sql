{{ config(materialized='incremental', incremental_strategy='rewind') }}
-- depends_on: {{ ref('int_batch__limits') }}
{{ assert_full_refresh_is_whole() }}
{{ assert_inputs_are_built_along() }}
-- Append-only: whose a device was as of each batch that brought news of it. The rows carry the batch, so that the
-- state as of the last finished build stays readable after a build that failed.
select
    anonymous_id,
    known_user_id,
    linked_at,
    first_anonymous_at,
    cast({{ get_limits()['upto_batch_id'] }} as bigint) as batch_id
from {{ ref('int_batch__devices') }}
where is_news
