-- Who is still to be told, what and where: the backlog with all that a destination needs.
with backlog as (
    select * from {{ ref('campaign_backlog') }}
),

{{ outbox_rows('backlog') }}

select * from final
