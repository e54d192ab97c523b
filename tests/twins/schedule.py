"""What happened in a lane, worked out record by record and event by event."""


def runs(simulation, lane=0, since=0):
    """Return (job, class, accelerator, choice, start, finish, believed finish, state) of each run, by start."""
    now = int(simulation.lanes[lane]["time"])
    found = []
    for number in range(int(simulation.lanes[lane]["arrived"])):
        job = simulation.jobs[lane, number]
        for accelerator in range(simulation.accelerators.shape[1]):
            record = simulation.accelerators[lane, accelerator]
            owns = int(simulation.choice_accelerators[job["choice"]]) == accelerator
            what = (number, int(job["job_class"]), accelerator, int(job["choice"]), int(job["start"]))
            if record["job"] == number:
                found.append((*what, now, int(record["believed_finish"]), 1))
            elif job["finish"] > since and owns:
                found.append((*what, int(job["finish"]), int(job["finish"]), 0))
    return sorted(found, key=lambda run: (run[4], run[2]))


def waiting(simulation, lane=0, since=0, aborted=()):
    """Return {time: jobs waiting from then on} at every moment at which something happened, `since` included."""
    intervals = []
    now = int(simulation.lanes[lane]["time"])
    for number in range(int(simulation.lanes[lane]["arrived"])):
        job = simulation.jobs[lane, number]
        begins, ends = [int(job["ready"])], []
        for run_job, start, finish in aborted:
            if run_job == number:
                begins.append(finish)
                ends.append(start)
        running = number in simulation.accelerators[lane]["job"].tolist()
        if job["finish"] >= 0 or running:
            ends.append(int(job["start"]))
        intervals += list(zip(sorted(begins), [*sorted(ends), now + 1], strict=False))
    moments = {since} | {time for interval in intervals for time in interval if since < time <= now}
    return {time: sum(begin <= time < end for begin, end in intervals) for time in sorted(moments)}
