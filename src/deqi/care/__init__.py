"""The care room: what is done to a body, as courses of care and plans that a person can say.

    plan = plan_from("acupuncture 30 min twice a week for 6 weeks and walking 30 min daily for 12 weeks")
    plan.visits, plan.home_hours, plan.end_week        # 12, 42.0, 12.0
    sentences(plan)                                    # the same plan in words
    as_data(plan)                                      # the same plan as plain data
    assumptions(plan)                                  # what nobody stated, the value taken, and its source

A plan is a tuple of courses; each has its type of care (needling, exercise, stretching, heat, cold,
lifestyle, medicine, usual care, waiting, placebo) and a `Schedule`. `vocabulary.yaml` holds the words,
`defaults.yaml` what is taken for granted and the accepted ranges.
"""

from deqi.care.build import CARE_TYPES, course
from deqi.care.course import Course
from deqi.care.exercise import Exercise
from deqi.care.lifestyle import Lifestyle
from deqi.care.medicines import Medicine
from deqi.care.needling import Needling
from deqi.care.plan import Assumption, Plan, as_data, assumptions, load_plan, plan_from
from deqi.care.schedule import Schedule
from deqi.care.sentences import sentence, sentences
from deqi.care.stretching import Stretching
from deqi.care.thermal import Cold, Heat
from deqi.care.usual import Placebo, UsualCare, Waiting

__all__ = [
    "CARE_TYPES",
    "Assumption",
    "Cold",
    "Course",
    "Exercise",
    "Heat",
    "Lifestyle",
    "Medicine",
    "Needling",
    "Placebo",
    "Plan",
    "Schedule",
    "Stretching",
    "UsualCare",
    "Waiting",
    "as_data",
    "assumptions",
    "course",
    "load_plan",
    "plan_from",
    "sentence",
    "sentences",
]
