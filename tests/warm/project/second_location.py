import dagster as dg


@dg.op
def speak() -> None:
    print("printed: elsewhere")


@dg.job(executor_def=dg.in_process_executor)
def other_job() -> None:
    speak()


defs = dg.Definitions(jobs=[other_job])
