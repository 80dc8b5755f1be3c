-- A template: at-signs mark what is filled in from the columns of the file and the declaration of its source.
insert into load_records
with file_rows as (
    select
        line_number as tripline_line_number,
        @file_columns
    from load_chunk
    where @usable
),

listed as (
    select
        *,
        @items as tripline_items,
    from file_rows
),

items as (
    select
        * exclude (tripline_items),
        unnest(tripline_items) as @item,
        unnest(range(1, len(tripline_items) + 1)) as @item_index,
    from listed
),

mapped as (
    select
        tripline_line_number,
        @item_index as tripline_item_index,
        @text as tripline_text,
        @mapped
    from items
),

final as (
    select
        @file_index,
        tripline_line_number,
        tripline_item_index,
        coalesce(cast(tripline_text as varchar), 'null'),
        cast(@wire as varchar),
        null,
    from mapped

    union all

    select
        @file_index,
        tripline_line_number,
        1,
        cast(@row as varchar),
        null,
        'not_a_record',
    from listed
    where tripline_items is null
)

select * from final;
