import time
import pytest
from daycast.steps import progress
pytestmark = pytest.mark.xdist_group("flows")

def test_x(trained, project):
    t=time.time()
    def tell(e): print(f"{time.time()-t:6.1f} {time.process_time():6.1f} {e.step} {e.subject} {e.note}")
    with progress.listening(tell):
        project.train(); print("2nd", time.time()-t)
    t=time.time()
    with progress.listening(tell):
        project.train("tuning.seeds=1"); print("3rd", time.time()-t)
