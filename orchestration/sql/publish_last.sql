select
    build_id,
    prior_build_id,
    upto_batch_id,
    clock_at,
    published_at,
    delivery_seq,
    layout,
    views,
from published_file.publication.build
