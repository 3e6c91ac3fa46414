use sqlparser::ast::Expr;
use sqlparser::dialect::DuckDbDialect;
use sqlparser::parser::Parser;
use sqlparser::tokenizer::{Token, TokenWithSpan, Tokenizer};

use super::{DEEPEST, ExpressionError, LONGEST_SOURCE, MOST_TOKENS};

/// Line and column right after the end of a text.
fn end(source: &str) -> (u64, u64) {
    let line = source.matches('\n').count();
    let last = source.rsplit('\n').next().unwrap_or_default().chars().count();
    let place = |n: usize| u64::try_from(n + 1).unwrap_or(1);
    (place(line), place(last))
}

/// Parses one whole expression.
pub(super) fn parse(source: &str) -> Result<Expr, ExpressionError> {
    if source.len() > LONGEST_SOURCE {
        return Err(ExpressionError {
            message: format!("the expression is longer than {LONGEST_SOURCE} bytes"),
            line: 1,
            column: 1,
            unknown: None,
        });
    }
    let tokens = Tokenizer::new(&DuckDbDialect {}, source)
        .tokenize_with_location()
        .map_err(|error| parser_error(error.into(), source))?;
    // A long sum is a tree as deep as it has terms. The parser does not recurse into it, but all that reads or
    // drops the tree does.
    let is_part = |token: &Token| {
        !matches!(token, Token::Whitespace(_) | Token::Comma | Token::LParen | Token::RParen)
    };
    if tokens.iter().filter(|token| is_part(&token.token)).count() > MOST_TOKENS {
        return Err(ExpressionError {
            message: format!("the expression has more than {MOST_TOKENS} words and operators"),
            line: 1,
            column: 1,
            unknown: None,
        });
    }
    if nesting(&tokens) <= SHALLOW {
        return parse_tokens(tokens, source);
    }
    // What follows `IN (` may be a query, for which the parser takes much more of the stack at each level.
    let failed = |message: String| ExpressionError { message, line: 1, column: 1, unknown: None };
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new().stack_size(DEEP_STACK_BYTES);
        let parsing = thread.spawn_scoped(scope, || parse_tokens(tokens, source));
        let parsing = parsing.map_err(|error| failed(format!("it cannot be parsed: {error}")))?;
        parsing.join().unwrap_or_else(|_| Err(failed("it cannot be parsed".to_owned())))
    })
}

/// Parentheses within each other for which the stack of every thread is enough.
const SHALLOW: usize = 8;
/// The stack for expressions that are nested deeper, in bytes; [`DEEPEST`] levels take less.
const DEEP_STACK_BYTES: usize = 32 << 20;

/// The most parentheses that are open at once.
fn nesting(tokens: &[TokenWithSpan]) -> usize {
    let (mut open, mut most) = (0_usize, 0);
    for token in tokens {
        match token.token {
            Token::LParen => open += 1,
            Token::RParen => open = open.saturating_sub(1),
            _ => {}
        }
        most = most.max(open);
    }
    most
}

fn parser_error(error: sqlparser::parser::ParserError, source: &str) -> ExpressionError {
    match error {
        sqlparser::parser::ParserError::RecursionLimitExceeded => ExpressionError {
            message: format!("the expression is nested deeper than {DEEPEST} levels"),
            line: 1,
            column: 1,
            unknown: None,
        },
        other => ExpressionError::from_parser(&other.to_string(), end(source)),
    }
}

/// Parses tokens that are one whole expression.
fn parse_tokens(tokens: Vec<TokenWithSpan>, source: &str) -> Result<Expr, ExpressionError> {
    let mut parser = Parser::new(&DuckDbDialect {})
        // What is within parentheses takes the stack of the parser, a few levels for each of ours.
        .with_recursion_limit(DEEPEST)
        .with_tokens_with_locations(tokens);
    let expression = parser.parse_expr().map_err(|error| parser_error(error, source))?;
    let rest = parser.peek_token();
    if rest.token == Token::EOF {
        Ok(expression)
    } else {
        Err(ExpressionError::at(
            rest.span,
            format!("the expression ends before '{}'; write one expression only", rest.token),
        ))
    }
}
