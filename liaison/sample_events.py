"""What happens on the sample day: people, requests, a completed course and feedback, as other systems publish them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

#: What each other system may publish.
PUBLISHERS: Mapping[str, list[str]] = {
    "hr": ["liaison.person.changed.v1"],
    "oa": [
        "liaison.ticket.requested.v1",
        "liaison.ticket.update_requested.v1",
        "liaison.feedback.submitted.v1",
    ],
    "lms": ["liaison.course.completion_reported.v1"],
}

# 员工编号、姓名、部门、地区、组、角色、经理
_PEOPLE = (
    ("E1001", "周敏", "集团/信息中心", "华北", "服务台", "engineer", "E1000"),
    ("E1002", "陈立", "集团/信息中心", "华东", "华东支持组", "engineer", "E1000"),
    ("E1003", "黄海", "集团/信息中心", "华南", "华南支持组", "engineer", "E1000"),
    ("E1000", "郑国强", "集团/信息中心", "华北", "", "manager", None),
    ("E2001", "林晓雯", "集团/财务部", "华东", "", "", "E1000"),
    ("E2002", "何志远", "集团/采购部", "华南", "", "", "E1000"),
    ("E2003", "吴桐", "集团/生产部", "西南", "", "", "E1000"),
    ("E2009", "沈佳", "集团/财务部", "华东", "", "", "E1000"),
)

# 编号、标题、提出人、渠道、优先级、问题代码、多久以前报的。最后一张几秒后就到响应期限。
_NOW = timedelta(0)
REQUESTS = (
    ("oa-1", "OA 无法登录，提示密码错误", "E2001", "web", 3, "OA-LOGIN", _NOW),
    ("oa-2", "采购合同打印出来是乱码", "E2002", "hotline", 2, "OA-PRINT", _NOW),
    ("oa-3", "生产线扫码枪连不上系统", "E2003", "chat", 2, "MES-SCAN", _NOW),
    ("oa-4", "全厂报工系统打不开", "E2003", "hotline", 1, "MES-REPORT", timedelta(minutes=14, seconds=56)),
)

#: What the knowledge base holds before the day begins.
ARTICLES: tuple[Mapping[str, Any], ...] = (
    {
        "title": "OA 无法登录怎么办",
        "body": "先看大写锁定是否打开，再点登录页的“忘记密码”重置；提示账号锁定时，等三十分钟或联系服务台解锁。",
        "category": "登录问题",
        "problem_codes": ["OA-LOGIN"],
    },
    {
        "title": "OA 密码错误多次后账号被锁定",
        "body": "连续五次密码错误会锁定三十分钟；急用时请服务台核对工号后解锁，再用新密码登录。",
        "category": "登录问题",
        "problem_codes": ["OA-LOGIN"],
    },
    {
        "title": "换了手机以后怎么登录 OA",
        "body": "登录 OA 的验证码发到登记的手机；号码变了，先请部门文员在人事系统里改，次日生效。",
        "category": "登录问题",
        "problem_codes": ["OA-LOGIN"],
    },
    {
        "title": "第一次登录 OA 的步骤",
        "body": "初始密码在入职邮件里；登录后按提示改密码，长度至少十二位，九十天换一次。",
        "category": "操作指南",
        "problem_codes": ["OA-LOGIN"],
    },
    {
        "title": "合同打印乱码的处理",
        "body": "在打印设置里选“以图像方式打印”，仍是乱码时安装仿宋字体后重启浏览器。",
        "category": "操作指南",
        "problem_codes": ["OA-PRINT"],
    },
)
NEXT_COURSE = ("ERP-FIN-02", {"title": "合并报表", "modules": [], "materials": []})
COURSE = (
    "ERP-FIN-01",
    {
        "title": "总账月结操作",
        "modules": [{"title": "月结步骤", "problem_codes": ["OA-LOGIN"], "class_hours": 4}],
        "materials": [
            {
                "material_id": "m1",
                "title": "月结演示录像",
                "url": "https://lms.example.invalid/materials/m1",
                "summary": "十二分钟，从释放凭证号到关账。",
            }
        ],
        "next_course": "ERP-FIN-02",
    },
)
CONTACT = ("集团/财务部", "E2009")


def events(day: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield (publisher, event) in the order in which they are published. day: makes ids and keys of their own."""
    now = datetime.now(UTC)
    for number, name, department, region, group, role, manager in _PEOPLE:
        person = {
            "employee_number": number,
            "version": int(now.timestamp()),
            "name": name,
            "email": f"{number.lower()}@example.invalid",
            "department": department,
            "region": region,
            "groups": [group] if group else [],
            "roles": [role] if role else [],
            "manager": manager,
        }
        yield "hr", _event(day, f"person-{number}", "/hr", "person.changed", number, now, person)
    for key, title, requester, channel, priority, code, ago in REQUESTS:
        data = {"title": title, "requester": requester, "channel": channel, "priority": priority, "problem_code": code}
        event = _event(day, key, "/oa", "ticket.requested", f"{day}-{key}", now - ago, data)
        yield "oa", event | {"externalref": f"{day}-{key}"}
    solved = {"state": "resolved", "solution": "已重置密码，请用新密码登录。"}
    event = _event(day, "oa-1-solved", "/oa", "ticket.update_requested", f"{day}-oa-1", now, solved)
    yield "oa", event | {"externalref": f"{day}-oa-1"}
    # Each day is a new attempt, so that it counts.
    report = {"course": COURSE[0], "learner": "E2001", "attempt": int(now.timestamp()) % 1000 + 1, "score": 0.92}
    yield "lms", _event(day, "course", "/lms", "course.completion_reported", f"{COURSE[0]}/E2001", now, report)
    feedback = {"text": "食堂座位预约总是闪退，希望修一修。", "author": "E2001", "score": 2, "way": "web"}
    yield (
        "oa",
        _event(day, "feedback", "/oa", "feedback.submitted", f"{day}-fb", now, feedback) | {"externalref": f"{day}-fb"},
    )


def _event(
    day: str, key: str, source: str, kind: str, subject: str, moment: datetime, data: Mapping[str, Any]
) -> dict[str, Any]:
    return {
        "specversion": "1.0",
        "id": f"{day}-{key}",
        "source": source,
        "type": f"liaison.{kind}.v1",
        "subject": subject,
        "time": moment.isoformat(),
        "datacontenttype": "application/json",
        "data": data,
    }
