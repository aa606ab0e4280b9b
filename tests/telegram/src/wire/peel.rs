//! Wrappers around a request: layer, device, order, no updates (core.telegram.org/api/invoking).

use grammers_tl_types::{Cursor, Deserializable, Identifiable, functions};

use crate::wire::container::constructor;
use crate::wire::gzip;

/// Wrappers are small; what a wrapper's own fields may take.
const LONGEST_WRAPPER: usize = 16 << 10;
const DEEPEST: usize = 8;

/// What `invokeWithLayer` and `initConnection` told.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Introduction {
    pub(crate) layer: i32,
    pub(crate) api_id: i32,
    pub(crate) device: String,
}

/// A request without its wrappers.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Peeled {
    pub(crate) layer: Option<i32>,
    /// Application and device model.
    pub(crate) device: Option<(i32, String)>,
    pub(crate) no_updates: bool,
    /// Messages whose answers must come first.
    pub(crate) after: Vec<i64>,
    pub(crate) body: Vec<u8>,
}

/// The request cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a wrapper of the request is malformed or too deep")]
pub(crate) struct Malformed;

/// Takes the wrappers off a request.
pub(crate) fn peel(object: &[u8]) -> Result<Peeled, Malformed> {
    let mut peeled = Peeled { body: unpack(object)?, ..Peeled::default() };
    for _ in 0..DEEPEST {
        let head = &peeled.body[..peeled.body.len().min(LONGEST_WRAPPER)];
        let mut cursor = Cursor::from_slice(head.get(4..).unwrap_or_default());
        match constructor(head) {
            functions::InvokeWithLayer::<u32>::CONSTRUCTOR_ID => {
                peeled.layer = Some(read::<functions::InvokeWithLayer<u32>>(&mut cursor)?.layer);
            }
            functions::InitConnection::<u32>::CONSTRUCTOR_ID => {
                let init = read::<functions::InitConnection<u32>>(&mut cursor)?;
                peeled.device = Some((init.api_id, init.device_model));
            }
            functions::InvokeWithoutUpdates::<u32>::CONSTRUCTOR_ID => {
                read::<functions::InvokeWithoutUpdates<u32>>(&mut cursor)?;
                peeled.no_updates = true;
            }
            functions::InvokeAfterMsg::<u32>::CONSTRUCTOR_ID => {
                peeled.after.push(read::<functions::InvokeAfterMsg<u32>>(&mut cursor)?.msg_id);
            }
            functions::InvokeAfterMsgs::<u32>::CONSTRUCTOR_ID => {
                peeled.after.extend(read::<functions::InvokeAfterMsgs<u32>>(&mut cursor)?.msg_ids);
            }
            0 => return Err(Malformed),
            _ => return Ok(peeled),
        }
        // The wrappers were read with the inner constructor as their query; it stays.
        peeled.body = unpack(&peeled.body[cursor.pos()..])?;
    }
    Err(Malformed)
}

fn unpack(object: &[u8]) -> Result<Vec<u8>, Malformed> {
    gzip::unpack(object).map_err(|_| Malformed)
}

fn read<T: Deserializable>(cursor: &mut Cursor) -> Result<T, Malformed> {
    T::deserialize(cursor).map_err(|_| Malformed)
}

#[cfg(test)]
mod tests {
    use grammers_tl_types::{Serializable, enums, types};

    use super::*;

    #[test]
    fn every_wrapper_comes_off() {
        let query = functions::InvokeWithLayer {
            layer: 230,
            query: functions::InitConnection {
                api_id: 12345,
                device_model: "a phone".into(),
                system_version: "1".into(),
                app_version: "2".into(),
                system_lang_code: "en".into(),
                lang_pack: String::new(),
                lang_code: "en".into(),
                proxy: Some(types::InputClientProxy { address: "proxy".into(), port: 1 }.into()),
                params: Some(enums::Jsonvalue::JsonArray(types::JsonArray {
                    value: vec![enums::Jsonvalue::JsonNull],
                })),
                query: functions::InvokeWithoutUpdates {
                    query: functions::InvokeAfterMsg {
                        msg_id: 4,
                        query: functions::InvokeAfterMsgs {
                            msg_ids: vec![8, 12],
                            query: functions::help::GetConfig {},
                        },
                    },
                },
            },
        };
        let expected = Peeled {
            layer: Some(230),
            device: Some((12345, "a phone".into())),
            no_updates: true,
            after: vec![4, 8, 12],
            body: functions::help::GetConfig {}.to_bytes(),
        };
        assert_eq!(peel(&query.to_bytes()), Ok(expected));
    }

    #[test]
    fn a_packed_query_inside_a_wrapper_comes_out() {
        let query = functions::help::GetAppConfig { hash: 7 }.to_bytes();
        let long = [&query[..], &[0; 4000]].concat();
        let mut object = functions::InvokeWithLayer::<u32>::CONSTRUCTOR_ID.to_bytes();
        230i32.serialize(&mut object);
        object.extend(gzip::pack(&long).unwrap());
        assert_eq!(peel(&object).unwrap().body, long);
        assert_eq!(peel(&gzip::pack(&long).unwrap()).unwrap().body, long);
    }

    #[test]
    fn truncated_and_endless_wrappers_are_malformed() {
        let wrapped =
            functions::InvokeWithLayer { layer: 230, query: functions::help::GetConfig {} }.to_bytes();
        for cut in 0..wrapped.len() {
            assert_eq!(peel(&wrapped[..cut]), Err(Malformed), "{cut}");
        }
        let mut deep = functions::InvokeWithoutUpdates::<u32>::CONSTRUCTOR_ID.to_bytes().repeat(9);
        deep.extend(functions::help::GetConfig {}.to_bytes());
        assert_eq!(peel(&deep), Err(Malformed));
    }

    #[test]
    fn deeply_nested_parameters_do_not_exhaust_the_stack() {
        let mut object = functions::InitConnection::<u32>::CONSTRUCTOR_ID.to_bytes();
        2i32.serialize(&mut object);
        1i32.serialize(&mut object);
        for _ in 0..6 {
            String::new().serialize(&mut object);
        }
        for _ in 0..100_000 {
            enums::Jsonvalue::JsonArray(types::JsonArray { value: Vec::new() }).to_bytes()[..8]
                .serialize_raw(&mut object);
            1u32.serialize(&mut object);
        }
        assert_eq!(peel(&object), Err(Malformed));
    }

    trait SerializeRaw {
        fn serialize_raw(&self, out: &mut Vec<u8>);
    }

    impl SerializeRaw for [u8] {
        fn serialize_raw(&self, out: &mut Vec<u8>) {
            out.extend(self);
        }
    }
}
