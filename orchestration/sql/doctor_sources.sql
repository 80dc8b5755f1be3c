-- Which active source holds the watermark back: the least advanced one.
select
    load_batches.source_name,
    max(load_batches.complete_through) as complete_through,
    max(load_batches.finished_at) as last_loaded_at,
from raw.load_batches as load_batches
inner join raw.sources as sources on load_batches.source_name = sources.source_name
where not sources.is_paused
group by load_batches.source_name
having max(load_batches.complete_through) is not null
order by complete_through, load_batches.source_name
