//! `PUT /cap`: changes the number of slots of a pool.

use axum::extract::State;
use http::StatusCode;
use serde::Deserialize;
use tower_tps::Pool;

use super::Admin;

#[derive(Deserialize)]
struct Asked {
    cap: u32,
    pool: Option<String>,
}

pub(super) async fn put(State(admin): State<Admin>, body: String) -> (StatusCode, String) {
    match set(&admin.pools.all(), &body) {
        Ok(done) => (StatusCode::OK, format!("{done}\n")),
        Err(why) => (StatusCode::BAD_REQUEST, format!("{why}\n")),
    }
}

/// Does what a body asks for, and says what was done.
fn set(pools: &[Pool], body: &str) -> Result<serde_json::Value, String> {
    let Asked { cap, pool: name } =
        serde_json::from_str(body).map_err(|error| format!("{error}: send {{\"cap\": N}}"))?;
    let pool = match (&name, pools) {
        (Some(name), pools) => pools
            .iter()
            .find(|pool| **pool.name() == **name)
            .ok_or_else(|| format!("there is no pool {name:?}: {}", named(pools)))?,
        (None, [only]) => only,
        (None, pools) => return Err(format!("the cap of which pool: {}", named(pools))),
    };
    pool.set_cap(cap).map_err(|error| error.to_string())?;
    Ok(match name {
        Some(name) => serde_json::json!({"cap": cap, "pool": name}),
        None => serde_json::json!({"cap": cap}),
    })
}

/// What may be sent, by the names that there are.
fn named(pools: &[Pool]) -> String {
    let names: Vec<_> = pools.iter().map(|pool| format!("{:?}", &**pool.name())).collect();
    format!("send {{\"cap\": N, \"pool\": NAME}} with one of {}", names.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Of several pools the one that is named is changed; without a name, or with
    /// none of theirs, the answer has their names and nothing is changed.
    #[test]
    fn which_pool() {
        let pools = ["small", "large"].map(|name| Pool::builder(name).cap(2).build().unwrap());
        let caps = || pools.each_ref().map(|pool| pool.reading().counts.cap);
        assert!(set(&pools, r#"{"cap": 5, "pool": "large"}"#).is_ok());
        assert_eq!(caps(), [2, 5]);
        for body in [r#"{"cap": 7}"#, r#"{"cap": 7, "pool": "x"}"#] {
            let why = set(&pools, body).unwrap_err();
            assert!(why.contains("\"small\"") && why.contains("\"large\""), "{why}");
        }
        assert!(set(&pools, r#"{"cap": 0, "pool": "large"}"#).unwrap_err().contains("out of range"));
        assert_eq!(caps(), [2, 5]);
        assert!(set(&pools[..1], r#"{"cap": 7}"#).is_ok());
        assert_eq!(caps(), [7, 5]);
    }
}
