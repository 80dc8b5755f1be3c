"""A simulated shop: events as a collector would hand them over, any number of them, the same ones for the same seed.

The stream has what makes real ones awkward: several devices a person, browsing before the sign-in, events that come
minutes or days late, copies, device clocks that are wrong, people who never come back, refused consent, events that
are done to a user. Over a month and at the shipped thresholds all nine triggers have matches; `engaged_with_product`
once FEATURED_PRODUCTS are named in seeds/trigger_thresholds.csv.
"""

from orchestration.simulate.files import FORMATS, SimulationReport, simulate
from orchestration.simulate.live import stream
from orchestration.simulate.shop import DEFAULT_START, FEATURED_PRODUCTS
from orchestration.simulate.wire import wire_batches

__all__ = ["DEFAULT_START", "FEATURED_PRODUCTS", "FORMATS", "SimulationReport", "simulate", "stream", "wire_batches"]
