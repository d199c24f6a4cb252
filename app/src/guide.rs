//! The pages of the guide, so that the programs on them are compiled with the documentation tests.

macro_rules! pages {
    ($($name:ident: $file:literal)*) => {$(
        #[doc = include_str!(concat!("../../docs/guide/", $file))]
        struct $name;
    )*};
}

pages! {
    Starting: "starting.md"
    Routing: "routing.md"
    Admission: "admission.md"
    Origins: "origins.md"
    Streams: "streams.md"
    Datagrams: "datagrams.md"
    GroupsPage: "groups.md"
    Certificates: "certificates.md"
    Serving: "serving.md"
    Clients: "clients.md"
    Observing: "observing.md"
}
