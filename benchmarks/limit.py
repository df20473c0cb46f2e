"""The practical limit: a bare loop with as many elementwise operations and transcendentals as the solver has.

Operations are those that XLA counts in the compiled solver, per patient and step; the loop does as many, alternating
multiplication and addition, and as many exponentials, on arrays of the same shape, over as many steps and threads.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from deqi.body.system import BODY
from deqi.care import plan_from
from deqi.population import simulate as room
from deqi.population.context import strength
from deqi.population.patients import draw, population_of
from deqi.solve.weekly import weekly

from . import task

CHAINS = 8


def operations(block: int = room.BLOCK) -> tuple[int, int]:
    """Arithmetic operations and transcendentals per patient and step, as XLA counts them in the compiled solver.

    It counts the body of the loop over steps once; what is done once for a patient before the loop is among them.
    """
    plan, people = plan_from(task.PLAN), draw(population_of("chronic"), block, 1)
    grid = task.grid_of(task.OURS, dtype=np.float32)
    felt = strength(plan.courses, task.starts_of(grid), people.averages)
    rows = np.arange(block)
    compiled = weekly.lower(BODY, *room._cut(people, rows), grid.steps, grid.week, grid.used,
                            room._context(felt, people.average, len(grid.days)), 64).compile()
    cost: Any = compiled.cost_analysis()
    cost = cost[0] if isinstance(cost, list) else cost
    return round(cost["flops"] / block), round(cost["transcendentals"] / block)


@partial(jax.jit, static_argnames=("arithmetic", "transcendental"))
def bare(x: Any, a: Any, b: Any, steps: Any, arithmetic: int, transcendental: int) -> Any:
    """So many operations for each element, so many times, in chains that do not wait for each other."""
    def once(_: Any, x: Any) -> Any:
        chains = [x + 0.01 * k for k in range(CHAINS)]
        for k in range(transcendental):
            chains[k % CHAINS] = jnp.exp(-chains[k % CHAINS])
        for k in range(arithmetic):
            chain = chains[k % CHAINS]
            chains[k % CHAINS] = chain * a if (k // CHAINS) % 2 else chain + b
        return sum(chains) / CHAINS

    return jax.lax.fori_loop(0, steps, once, x)


def measure(patients: int, block: int = room.BLOCK) -> dict[str, Any]:
    """Core-seconds per patient-year of the bare loop, and what it does."""
    arithmetic, transcendental = operations(block)
    steps = task.grid_of(task.OURS).used
    x = jnp.linspace(0.1, 0.9, block, dtype=jnp.float32)
    a, b = jnp.full(block, 0.99, jnp.float32), jnp.full(block, 0.01, jnp.float32)
    blocks = -(-patients // block)

    def run() -> None:
        with ThreadPoolExecutor(task.CORES) as threads:
            list(threads.map(lambda _: jax.block_until_ready(bare(x, a, b, steps, arithmetic, transcendental)),
                             range(blocks)))

    run()
    return {"arithmetic": arithmetic, "transcendentals": transcendental, "steps": steps,
            "seconds": task.timed(run).over(blocks * block / task.CORES)}
