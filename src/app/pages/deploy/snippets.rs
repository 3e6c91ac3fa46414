use eframe::egui::{CollapsingHeader, Ui};

use super::code_ui;

/// Code that works as it is, once the keys are in the environment: the SDKs that applications have.
pub(super) fn ui(ui: &mut Ui, url: &str, name: &str, customer: &str) {
    CollapsingHeader::new("From an application").show(ui, |ui| {
        for (button, code) in [
            ("Copy Node", node(url, customer)),
            ("Copy Python", python(url, customer)),
            ("Copy browser", browser(url, customer)),
            ("Copy score in Python", score_in_python(url, name, customer)),
        ] {
            code_ui(ui, button, &code);
        }
    });
}

fn node(url: &str, customer: &str) -> String {
    format!(
        "// npm install @segment/analytics-node\n\
         import {{ Analytics }} from '@segment/analytics-node'\n\
         const analytics = new Analytics({{ writeKey: process.env.WRITE_KEY, host: '{url}', path: '/v1/batch' }})\n\
         analytics.track({{ userId: '{customer}', event: 'order_completed', properties: {{ amount: 42.5 }} }})\n\
         await analytics.closeAndFlush()"
    )
}

fn python(url: &str, customer: &str) -> String {
    format!(
        "# pip install segment-analytics-python\n\
         import os, segment.analytics as analytics\n\
         analytics.write_key, analytics.host = os.environ['WRITE_KEY'], '{url}'\n\
         analytics.track('{customer}', 'order_completed', {{'amount': 42.5}})\n\
         analytics.shutdown()"
    )
}

fn browser(url: &str, customer: &str) -> String {
    let host = url.trim_start_matches("http://");
    format!(
        "// npm install @segment/analytics-next\n\
         import {{ AnalyticsBrowser }} from '@segment/analytics-next'\n\
         const analytics = AnalyticsBrowser.load({{ writeKey: WRITE_KEY, cdnURL: '{url}' }},\n  \
         {{ integrations: {{ 'Segment.io': {{ apiHost: '{host}/v1', protocol: 'http' }} }} }})\n\
         analytics.identify('{customer}', {{ plan: 'pro' }})"
    )
}

fn score_in_python(url: &str, name: &str, customer: &str) -> String {
    format!(
        "import json, os, urllib.request\n\
         request = urllib.request.Request('{url}/v1/score/{name}?customer_id={customer}',\n    \
         headers={{'authorization': 'Bearer ' + os.environ['SCORE_KEY']}})\n\
         print(json.load(urllib.request.urlopen(request))['score'])"
    )
}
