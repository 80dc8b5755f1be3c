-- One row per key: the batch's best copy. Texts are compared only where a key comes more than once.
create or replace temp table load_best as
with repeated as (
    select event_key
    from load_order
    group by event_key
    having count(*) > 1
),

ranked as (
    select
        load_order.*,
        row_number() over (
            partition by event_key
            order by load_order.received_at asc nulls last, load_typed.event_text asc, load_order.event_seq asc
        ) as place,
    from load_order
    inner join load_typed using (row_id, event_key)
    where event_key in (select event_key from repeated)
),

final as (
    select * exclude (place) from ranked where place = 1
    union all
    select * from load_order where event_key not in (select event_key from repeated)
)

select * from final;

create or replace temp table load_earlier (
    event_seq bigint not null,
    event_key varchar not null,
    received_at timestamp,
    occurred_at timestamp not null
);
