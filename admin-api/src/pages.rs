//! Lists, page by page: `{"items":[…],"next_page_token":…}`.

use crate::problem::Problem;
use fastchat_wire::encoding::{base64url, from_base64url};
use serde::{Deserialize, Serialize};

/// Items of a page where no limit is given.
const LIMIT_DEFAULT: u32 = 100;
/// Most items of a page.
const LIMIT_MAX: u32 = 1_000;

/// Which page.
#[derive(Debug, Clone, Default, Deserialize)]
pub(crate) struct PageQuery {
    limit: Option<u32>,
    page_token: Option<String>,
}

/// A page of a list.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct Page<T> {
    /// What is on it.
    pub(crate) items: Vec<T>,
    /// Asks for the next one; null on the last.
    pub(crate) next_page_token: Option<String>,
}

impl PageQuery {
    /// Items of the page.
    pub(crate) fn limit(&self) -> Result<u32, Problem> {
        let limit = self.limit.unwrap_or(LIMIT_DEFAULT);
        if (1..=LIMIT_MAX).contains(&limit) {
            Ok(limit)
        } else {
            Err(Problem::bad_request(format!("limit is a number from 1 to {LIMIT_MAX}")))
        }
    }

    /// The position that the page follows; 0 for the first page.
    pub(crate) fn after(&self) -> Result<u64, Problem> {
        let Some(token) = &self.page_token else { return Ok(0) };
        from_base64url(token)
            .and_then(|bytes| Some(u64::from_be_bytes(bytes.try_into().ok()?)))
            .filter(|after| i64::try_from(*after).is_ok())
            .ok_or_else(|| Problem::bad_request("page_token is not one that a list gave out; leave it away for the first page"))
    }

    /// The page of a list whose items have rising positions above 0.
    pub(crate) fn of<T>(&self, items: impl IntoIterator<Item = (u64, T)>) -> Result<Page<T>, Problem> {
        let (after, limit) = (self.after()?, self.limit()? as usize);
        let mut items = items.into_iter().filter(|(position, _)| *position > after);
        let page: Vec<_> = items.by_ref().take(limit).collect();
        let next_page_token = items.next().and(page.last()).map(|(position, _)| token(*position));
        Ok(Page {
            items: page.into_iter().map(|(_, item)| item).collect(),
            next_page_token,
        })
    }
}

/// Asks for what follows a position.
pub(crate) fn token(position: u64) -> String {
    base64url(&position.to_be_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn query(limit: Option<u32>, page_token: Option<String>) -> PageQuery {
        PageQuery { limit, page_token }
    }

    #[test]
    fn pages_follow_one_another_until_nothing_is_left() {
        let list = || (1..=5).map(|n| (n, n));
        let mut token = None;
        let mut pages = Vec::new();
        loop {
            let page = query(Some(2), token).of(list()).unwrap();
            pages.push(page.items);
            token = page.next_page_token;
            if token.is_none() {
                break;
            }
        }
        assert_eq!(pages, [vec![1, 2], vec![3, 4], vec![5]]);
        assert_eq!(query(Some(5), None).of(list()).unwrap().next_page_token, None);
    }

    #[test]
    fn bad_limits_and_tokens_are_refused() {
        for bad in [
            query(Some(0), None),
            query(Some(1_001), None),
            query(None, Some("?".into())),
            query(None, Some(base64url(&[0xff; 8]))),
        ] {
            assert_eq!(bad.of([(1, ())]).unwrap_err().status, 400);
        }
    }
}
