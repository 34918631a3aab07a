//! The host agent as a process, with real instances.

use super::fleet::{ControlPlane, Host, agent_spec, signal, start, stop};
use fastchat_wire::control::{AgentStatus, InstanceState, InstanceStatus, ProcessState, Status};
use rustix::process::Signal;
use std::time::{Duration, Instant};

fn s1(told: &AgentStatus) -> Option<&InstanceStatus> {
    told.instances.iter().find(|instance| instance.name == "s1")
}

#[tokio::test]
async fn instances_start_are_reported_and_leave_with_the_spec() {
    let (plane, host) = (ControlPlane::start().await, Host::new());
    plane.want("a", 1, &[("s1", 0), ("s2", 0)]);
    let agent = host.start_agent(&plane, &[]);
    let (status, told) = plane
        .told("both run", |_, agent| {
            agent.instances.iter().filter(|i| i.pid.is_some()).count() == 2
        })
        .await;
    assert_eq!(
        (status.applied_generation, status.state, status.pid),
        (1, ProcessState::Ready, agent.id())
    );
    assert!(told.cpus > 0);
    plane.want("a", 2, &[("s2", 0)]);
    let stopped = |told: &AgentStatus| s1(told).is_some_and(|s1| s1.state == InstanceState::Stopped);
    let (_, told) = plane.told("s1 has stopped", |_, told| stopped(told)).await;
    assert_eq!(told.instances[1].state, InstanceState::Running);
    assert!(!host.runs("s1"));
    stop(agent).await;
}

#[tokio::test]
async fn a_killed_instance_is_back_by_itself_with_a_new_pid() {
    let (plane, host) = (ControlPlane::start().await, Host::new());
    plane.want("a", 1, &[("s1", 0)]);
    let agent = host.start_agent(&plane, &[]);
    let (_, told) = plane.told("it runs", |_, told| s1(told).is_some_and(|s1| s1.pid.is_some())).await;
    let pid = told.instances[0].pid.unwrap();
    signal(pid, Signal::KILL);
    plane
        .told("it has crashed", |_, told| told.instances[0].state == InstanceState::Crashed)
        .await;
    let (_, told) = plane
        .told("it runs again", |_, told| {
            s1(told).is_some_and(|s1| s1.pid.is_some_and(|p| p != pid))
        })
        .await;
    assert_eq!(told.instances[0].restarts, 1);
    assert!(told.instances[0].last_exit.as_deref().unwrap().contains("signal: 9"));
    stop(agent).await;
}

#[tokio::test]
async fn a_killed_agent_s_instances_live_on_and_the_next_one_takes_them_over() {
    let (plane, host) = (ControlPlane::start().await, Host::new());
    plane.want("a", 1, &[("s1", 0)]);
    let agent = host.start_agent(&plane, &[]);
    let (_, told) = plane.told("it runs", |_, told| s1(told).is_some_and(|s1| s1.pid.is_some())).await;
    let pid = told.instances[0].pid;
    // Adopted is who holds the lock and has said in it who it is.
    while host.pid("s1") != pid {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    drop(agent);
    plane.forget();
    let agent = host.start_agent(&plane, &[]);
    let (_, told) = plane
        .told("the next agent tells", |status, told| {
            status.applied_generation == 1 && !told.instances.is_empty()
        })
        .await;
    assert_eq!((told.instances[0].pid, told.instances[0].restarts), (pid, 0));
    // It isn't the next agent's child, and yet its end is noticed and it comes back.
    signal(pid.unwrap(), Signal::KILL);
    let (_, told) = plane
        .told("it is back", |_, told| {
            s1(told).is_some_and(|s1| s1.restarts == 1 && s1.pid.is_some())
        })
        .await;
    assert_ne!(told.instances[0].pid, pid);
    stop(agent).await;
}

#[tokio::test]
async fn a_soft_stop_leaves_the_instances_running() {
    let (plane, host) = (ControlPlane::start().await, Host::new());
    plane.want("a", 1, &[("s1", 0)]);
    let agent = host.start_agent(&plane, &[]);
    plane.told("it runs", |_, told| s1(told).is_some_and(|s1| s1.pid.is_some())).await;
    while !host.runs("s1") {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let (code, took) = stop(agent).await;
    assert_eq!(code, Some(0));
    assert!(took < Duration::from_secs(5), "{took:?}");
    assert!(host.runs("s1"));
}

#[tokio::test]
async fn an_agent_that_takes_its_instances_along_leaves_none() {
    let (plane, host) = (ControlPlane::start().await, Host::new());
    plane.want("a", 1, &[("s1", 0), ("s2", 0)]);
    let agent = host.start_agent(&plane, &["--stop-children"]);
    plane
        .told("both run", |_, agent| {
            agent.instances.iter().filter(|i| i.pid.is_some()).count() == 2
        })
        .await;
    let (code, took) = stop(agent).await;
    assert_eq!(code, Some(0));
    assert!(took < Duration::from_secs(8), "{took:?}");
    assert!(!host.runs("s1") && !host.runs("s2"));
    plane.forget();
    let agent = host.start_agent(&plane, &["--stop-children"]);
    let (_, told) = plane
        .told("both run again", |_, agent| {
            agent.instances.iter().filter(|i| i.pid.is_some()).count() == 2
        })
        .await;
    assert_eq!(told.instances[0].restarts, 0, "they were asked to end");
    stop(agent).await;
}

#[tokio::test]
async fn an_instance_whose_epoch_grew_is_another_process() {
    let (plane, host) = (ControlPlane::start().await, Host::new());
    plane.want("a", 1, &[("s1", 0)]);
    let agent = host.start_agent(&plane, &[]);
    let (_, told) = plane.told("it runs", |_, told| s1(told).is_some_and(|s1| s1.pid.is_some())).await;
    let pid = told.instances[0].pid;
    plane.want("a", 2, &[("s1", 1)]);
    let (_, told) = plane
        .told("another runs", |_, told| {
            s1(told).is_some_and(|s1| s1.pid.is_some() && s1.pid != pid)
        })
        .await;
    assert_eq!(told.instances[0].restarts, 0);
    stop(agent).await;
}

#[tokio::test]
async fn an_agent_runs_its_instances_without_a_control_plane() {
    let (mut plane, host) = (ControlPlane::start().await, Host::new());
    plane.want("a", 1, &[("s1", 0)]);
    let agent = host.start_agent(&plane, &["--stop-children"]);
    let (_, told) = plane.told("it runs", |_, told| s1(told).is_some_and(|s1| s1.pid.is_some())).await;
    let pid = told.instances[0].pid.unwrap();
    // It says itself who it is a moment after its start.
    while host.pid("s1") != Some(pid) {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    drop(agent);
    plane.die().await;
    plane.forget();
    signal(pid, Signal::KILL);
    let agent = host.start_agent(&plane, &["--stop-children"]);
    // The cached spec says that it should run.
    let since = Instant::now();
    while !(host.runs("s1") && host.pid("s1").is_some_and(|p| p != pid)) {
        assert!(since.elapsed() < Duration::from_secs(20), "it never came back");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    // And once the control plane is back, all goes on.
    plane.want("a", 2, &[]);
    plane.come_back().await;
    plane
        .told("s1 has stopped", |status, told| {
            status.applied_generation == 2 && s1(told).is_some_and(|s1| s1.state == InstanceState::Stopped)
        })
        .await;
    stop(agent).await;
}

#[tokio::test]
async fn an_older_spec_and_one_of_another_store_stop_nothing() {
    let (plane, host) = (ControlPlane::start().await, Host::new());
    plane.want("a", 5, &[("s1", 0)]);
    let agent = host.start_agent(&plane, &[]);
    plane.told("it runs", |_, told| s1(told).is_some_and(|s1| s1.pid.is_some())).await;
    plane.want("a", 4, &[]);
    let problem = |words: &'static str| move |status: &Status| status.problem.as_deref().is_some_and(|p| p.contains(words));
    let older = problem("has generation 4");
    plane.told("the older one is refused", |status, _| older(status)).await;
    plane.want("b", 9, &[]);
    let foreign = problem("of store b");
    let (status, told) = plane.told("the foreign one is refused", |status, _| foreign(status)).await;
    assert_eq!((status.applied_generation, told.instances[0].state), (5, InstanceState::Running));
    plane.want("a", 6, &[]);
    plane
        .told("the newer one is taken", |status, _| {
            status.applied_generation == 6 && status.problem.is_none()
        })
        .await;
    stop(agent).await;
}

#[tokio::test]
async fn an_agent_runs_by_a_file() {
    let host = Host::new();
    std::fs::create_dir_all(host.data()).unwrap();
    let file = host.data().join("wanted.json");
    let write = |generation, instances: &[(&str, u64)]| {
        let spec = agent_spec("a", generation, "127.0.0.1:0", "http://127.0.0.1:9", instances);
        std::fs::write(&file, serde_json::to_vec(&spec).unwrap()).unwrap();
    };
    write(1, &[("s1", 0)]);
    let agent = start(host.agent().arg("--spec").arg(&file));
    let since = Instant::now();
    let within = async |fact: &dyn Fn() -> bool| {
        while !fact() {
            assert!(since.elapsed() < Duration::from_secs(20));
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    within(&|| host.runs("s1")).await;
    write(2, &[]);
    within(&|| !host.runs("s1")).await;
    stop(agent).await;
}
