-- Ids that look like $asked, most alike first. 0.8: below it jaro_winkler calls nearly everything alike.
with ids as (
    select user_id as id from behavior.int_user_behavior
    union
    select user_id from triggers.trigger_decisions
    union
    select anonymous_id from batches.int_identity_log
),

alike as (
    select
        id,
        jaro_winkler_similarity(lower(id), lower($asked)) as similarity,
    from ids
)

select
    id,
from alike
where similarity >= 0.8
order by similarity desc, id
limit 5
